import { Failure } from '../../failure.ts';
import type { FileHandle, SftpSession } from './session.ts';
import type { Pace } from '../../pipeline/pace.ts';
import type { ByteRange } from '../store.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';

const READS_IN_FLIGHT = 32;

export interface FileRead {
  path: string;
  /** undefined: the whole file. */
  range: ByteRange | undefined;
  /** The file's size a moment ago; null if unknown. It lets the first reads start before the open file's size is known. */
  sizeBytes: number | null;
  signal: AbortSignal;
}

/**
 * The bytes of a file, in pieces of the server's largest size, with many reads in flight. Throws SftpRefusal, Failure
 * `connection-lost`, or `transfer-failed` if the file shrinks meanwhile; if aborted, the signal's reason.
 */
export async function* readThroughWindow(
  session: SftpSession,
  { path, range, sizeBytes: lastSizeBytes, signal }: FileRead,
): AsyncGenerator<Uint8Array> {
  const start = range?.offset ?? 0;
  const endIn = (sizeBytes: number): number =>
    Math.min(sizeBytes, range === undefined ? sizeBytes : start + range.length);
  const handle = await untilAborted(signal, () => session.openForReading(path));
  const reads = new ReadsInFlight(session, handle, start, signal);
  try {
    const asking = session.sizeBytes(handle);
    if (lastSizeBytes !== null) reads.ask(endIn(lastSizeBytes));
    const end = endIn(await untilAborted(signal, () => asking));
    // The file was replaced by a shorter one.
    if (lastSizeBytes !== null && end < endIn(lastSizeBytes)) reads.startAgain();
    for (;;) {
      reads.ask(end);
      const next = reads.next();
      if (next === null) return;
      yield await untilAborted(signal, () => next);
    }
  } finally {
    reads.end();
    // The answer does not matter, and a dead connection must not delay the caller.
    session.close(handle).catch(() => undefined);
  }
}

/** Reads that were requested and not yet consumed, in order. */
class ReadsInFlight {
  readonly #session: SftpSession;
  readonly #handle: FileHandle;
  readonly #start: number;
  readonly #signal: AbortSignal;
  #isOver = false;
  #paced: Promise<void> = Promise.resolve();
  #asked: number;
  #waiting: Promise<Uint8Array>[] = [];

  constructor(session: SftpSession, handle: FileHandle, start: number, signal: AbortSignal) {
    this.#session = session;
    this.#handle = handle;
    this.#start = start;
    this.#signal = signal;
    this.#asked = start;
  }

  /** Requests more reads, up to the end or the limit in flight. */
  ask(end: number): void {
    while (this.#asked < end && this.#waiting.length < READS_IN_FLIGHT) {
      const length = Math.min(this.#session.maxReadBytes, end - this.#asked);
      const reading = this.#read(this.#asked, length);
      // The failure is thrown when its turn comes; until then it must not count as unhandled.
      reading.catch(() => undefined);
      this.#waiting.push(reading);
      this.#asked += length;
    }
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    const { pace } = this.#session;
    if (pace !== null) await (this.#paced = this.#paced.then(() => this.#wait(pace, length)));
    return readFully(this.#session, this.#handle, offset, length);
  }

  /** In the order of the requests, one after the other. */
  async #wait(pace: Pace, length: number): Promise<void> {
    if (this.#isOver) throw new Error('nobody waits for this read any more');
    await pace.wait(length, this.#signal);
  }

  /** Nothing more is requested. */
  end(): void {
    this.#isOver = true;
  }

  /** Drops all requested reads. */
  startAgain(): void {
    this.#waiting = [];
    this.#asked = this.#start;
  }

  /** The next piece; null if nothing is in flight. */
  next(): Promise<Uint8Array> | null {
    return this.#waiting.shift() ?? null;
  }
}

/** Repeats a read that the server answers with fewer bytes than requested. */
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
