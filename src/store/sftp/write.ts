import { Failure } from '../../failure.ts';
import type { Turns } from '../../pipeline/turns.ts';
import type { FileHandle, SftpSession } from './session.ts';
import { cutIntoPieces, writeThroughWindow } from './write-window.ts';
import type { PutOptions } from '../store.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';

/**
 * The size of the window that OpenSSH's servers give a channel. More would only wait in this process, and other requests
 * would wait behind it.
 */
export const BYTES_IN_FLIGHT = 2 * 2 ** 20;
/** The limit for servers that only accept small writes. */
export const MOST_WRITES_IN_FLIGHT = 64;

/**
 * Writes the parts one after the other, from the beginning of the file.
 * @param turns shared by all files of this connection, so that they are sent one after the other: a file is made
 *   durable while the next one is sent. If files were sent together, all would be complete late, at the same time
 */
export async function writeParts(
  session: SftpSession,
  handle: FileHandle,
  parts: readonly Uint8Array[],
  options: PutOptions,
  turns: Turns,
): Promise<void> {
  const endTurn = await turns.take(options.signal);
  try {
    await writeThroughWindow(cutIntoPieces(parts, session.maxWriteBytes), {
      writesInFlight: Math.min(MOST_WRITES_IN_FLIGHT, Math.ceil(BYTES_IN_FLIGHT / session.maxWriteBytes)),
      pace: session.pace,
      signal: options.signal,
      onWritten: options.onWritten,
      onAllSent: endTurn,
      write: ({ data, offset }) => session.write(handle, data, offset),
    });
  } finally {
    endTurn();
  }
}

/** Makes the file durable if that is wanted and offered. Returns its size as the server reports it. */
export async function settle(session: SftpSession, handle: FileHandle, options: PutOptions): Promise<number> {
  const sync = options.durable !== false && session.offers('fsync@openssh.com');
  const [sizeBytes] = await untilAborted(options.signal, () =>
    Promise.all([session.sizeBytes(handle), sync ? session.fsync(handle) : Promise.resolve()]),
  );
  return sizeBytes;
}

export function shortFile(location: string, expectedBytes: number, sizeBytes: number): Failure {
  return new Failure(
    'transfer-failed',
    `${location} acknowledged ${expectedBytes} bytes, but has only ${sizeBytes} of them.`,
    { advice: 'Do not store data on that server before its disk and its SFTP server have been checked.' },
  );
}
