import { Failure } from '../../failure.ts';
import type { Turns } from '../../pipeline/turns.ts';
import type { FileHandle, SftpSession } from './session.ts';
import { cutIntoPieces, writeThroughWindow } from './write-window.ts';
import type { PutOptions } from '../store.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';

/**
 * As much as the window that OpenSSH's servers open for a channel. More would only wait in this process,
 * and whatever is asked of the server would wait behind it.
 */
const BYTES_IN_FLIGHT = 2 * 2 ** 20;
/** Servers that take small writes only may keep as many as this waiting. */
const MOST_WRITES_IN_FLIGHT = 64;

/**
 * Writes the parts, one after the other, from the beginning of the file on.
 * @param turns of all files that are sent over this line. Together they would all be ready late, and at the same time;
 *   one after the other, the first is made durable while the next is sent
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
      signal: options.signal,
      onWritten: options.onWritten,
      onAllSent: endTurn,
      write: ({ data, offset }) => session.write(handle, data, offset),
    });
  } finally {
    endTurn();
  }
}

/** Makes the bytes durable where asked for and offered; answers with how many the server says it has. */
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
    `${location} acknowledged ${expectedBytes} bytes, but holds ${sizeBytes} of them.`,
    { advice: 'Do not trust that server with data before its disk and its SFTP server are looked at.' },
  );
}
