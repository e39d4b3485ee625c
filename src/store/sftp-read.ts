import { Failure } from '../failure.ts';
import type { FileHandle, SftpSession } from './sftp-session.ts';
import type { ByteRange } from './store.ts';
import { untilAborted } from './until-aborted.ts';

const READS_IN_FLIGHT = 32;

export interface FileRead {
  path: string;
  /** The whole file unless given. */
  range: ByteRange | undefined;
  signal: AbortSignal;
}

/**
 * The bytes of a file, in pieces of the size that the server takes, many reads in flight. Throws SftpRefusal, Failure
 * `connection-lost`, or `transfer-failed` where the file shrinks meanwhile; when aborted, the signal's reason.
 */
export async function* readThroughWindow(
  session: SftpSession,
  { path, range, signal }: FileRead,
): AsyncGenerator<Uint8Array> {
  const handle = await untilAborted(signal, () => session.openForReading(path));
  try {
    const sizeBytes = await untilAborted(signal, () => session.sizeBytes(handle));
    const end = Math.min(sizeBytes, range === undefined ? sizeBytes : range.offset + range.length);
    let asked = range?.offset ?? 0;
    const waiting: Promise<Uint8Array>[] = [];
    while (asked < end || waiting.length > 0) {
      while (asked < end && waiting.length < READS_IN_FLIGHT) {
        const length = Math.min(session.maxReadBytes, end - asked);
        const reading = readFully(session, handle, asked, length);
        // a failure is met when its turn comes; until then it must not count as unhandled
        reading.catch(() => undefined);
        waiting.push(reading);
        asked += length;
      }
      const next = waiting.shift();
      if (next !== undefined) yield await untilAborted(signal, () => next);
    }
  } finally {
    // the answer does not matter, and a dead line must not hold up the caller
    session.close(handle).catch(() => undefined);
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
