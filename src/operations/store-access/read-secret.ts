import { constants, open, type FileHandle } from 'node:fs/promises';
import { pause } from '../../pipeline/polling.ts';
import { errorCode } from '../../system/error-code.ts';

const POLL_MS = 50;

/**
 * Opens a file with a secret: an ordinary file, or a pipe like the shell's `<(pass show backups)`. Opening a FIFO does not wait
 * for its writer, because that wait could not be interrupted.
 */
export async function openSecret(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NONBLOCK);
}

/** The whole file, up to the limit. Waits for the writer of a pipe until the signal is aborted. */
export async function readSecret(
  file: FileHandle,
  path: string,
  limitBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const stats = await file.stat();
  // An anonymous pipe already has its writer; a FIFO may not have one yet.
  let hasWriter = !stats.isFIFO() || /^\/(dev|proc)\//.test(path);
  const buffer = Buffer.alloc(limitBytes);
  let filled = 0;
  while (filled < limitBytes) {
    signal.throwIfAborted();
    const count = await readNow(file, buffer, filled);
    if (count === 0 && hasWriter) break;
    hasWriter ||= count !== 0;
    if (count === null || count === 0) await pause(POLL_MS, signal);
    else filled += count;
  }
  return buffer.subarray(0, filled);
}

/** The number of bytes read; 0 at the end, or while a FIFO has no writer; null while a pipe's writer has written nothing. */
async function readNow(file: FileHandle, buffer: Buffer, offset: number): Promise<number | null> {
  try {
    return (await file.read(buffer, offset, buffer.length - offset)).bytesRead;
  } catch (error) {
    if (errorCode(error) === 'EAGAIN') return null;
    throw error;
  }
}
