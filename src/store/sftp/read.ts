import { Failure } from '../../failure.ts';
import type { FileHandle, SftpSession } from './session.ts';
import type { ByteRange } from '../store.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';

const READS_IN_FLIGHT = 32;

export interface FileRead {
  path: string;
  /** The whole file unless given. */
  range: ByteRange | undefined;
  /** As it was a moment ago; null where that is not known. Saves waiting for the open file's own before the first read. */
  sizeBytes: number | null;
  signal: AbortSignal;
}

/**
 * The bytes of a file, in pieces of the size that the server takes, many reads in flight. Throws SftpRefusal, Failure
 * `connection-lost`, or `transfer-failed` where the file shrinks meanwhile; when aborted, the signal's reason.
 */
export async function* readThroughWindow(
  session: SftpSession,
  { path, range, sizeBytes: lastSizeBytes, signal }: FileRead,
): AsyncGenerator<Uint8Array> {
  const start = range?.offset ?? 0;
  const endIn = (sizeBytes: number): number =>
    Math.min(sizeBytes, range === undefined ? sizeBytes : start + range.length);
  const handle = await untilAborted(signal, () => session.openForReading(path));
  try {
    const reads = new ReadsInFlight(session, handle, start);
    const asking = session.sizeBytes(handle);
    if (lastSizeBytes !== null) reads.ask(endIn(lastSizeBytes));
    const end = endIn(await untilAborted(signal, () => asking));
    // Another file has the name since.
    if (lastSizeBytes !== null && end < endIn(lastSizeBytes)) reads.startAgain();
    for (;;) {
      reads.ask(end);
      const next = reads.next();
      if (next === null) return;
      yield await untilAborted(signal, () => next);
    }
  } finally {
    // the answer does not matter, and a dead line must not hold up the caller
    session.close(handle).catch(() => undefined);
  }
}

/** The reads that were asked for and not yet taken, in their order. */
class ReadsInFlight {
  readonly #session: SftpSession;
  readonly #handle: FileHandle;
  readonly #start: number;
  #asked: number;
  #waiting: Promise<Uint8Array>[] = [];

  constructor(session: SftpSession, handle: FileHandle, start: number) {
    this.#session = session;
    this.#handle = handle;
    this.#start = start;
    this.#asked = start;
  }

  /** Asks for more, up to the end or as much as may be in flight. */
  ask(end: number): void {
    while (this.#asked < end && this.#waiting.length < READS_IN_FLIGHT) {
      const length = Math.min(this.#session.maxReadBytes, end - this.#asked);
      const reading = readFully(this.#session, this.#handle, this.#asked, length);
      // a failure is met when its turn comes; until then it must not count as unhandled
      reading.catch(() => undefined);
      this.#waiting.push(reading);
      this.#asked += length;
    }
  }

  /** Drops what was asked for. */
  startAgain(): void {
    this.#waiting = [];
    this.#asked = this.#start;
  }

  /** The next piece; null where nothing is in flight. */
  next(): Promise<Uint8Array> | null {
    return this.#waiting.shift() ?? null;
  }
}

/** A server may answer a read with fewer bytes than it was asked for. */
async function readFully(
  session: SftpSession,
  handle: FileHandle,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const count = await session.read(handle, bytes.subarray(filled), offset + filled);
    if (count === 0) throw new Failure('transfer-failed', 'A file became shorter while it was read.');
    filled += count;
  }
  return bytes;
}
