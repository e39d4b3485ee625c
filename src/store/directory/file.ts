import { constants, link, lstat, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { pause } from '../../pipeline/polling.ts';
import { isNothingThere, systemErrorCode } from '../system-failure.ts';
import { kindOf, type OpenFolder } from './folder.ts';
import { OVERLAP_MS, type PutOptions } from '../store.ts';

/** Reads without following a link, and without waiting for the writer of a FIFO. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens an ordinary file for reading. For anything else, returns what it is, in words. */
export async function openOrdinary(
  folder: OpenFolder,
  name: string,
): Promise<{ file: FileHandle; sizeBytes: number } | { strange: string }> {
  let file: FileHandle;
  try {
    file = await open(folder.at(name), READ_FLAGS);
  } catch (error) {
    // ELOOP: a link; ENXIO: a socket.
    if (!['ELOOP', 'ENXIO'].includes(systemErrorCode(error) ?? '')) throw error;
    const stats = await folder.stats(name);
    if (stats === null || stats.isFile()) throw error;
    return { strange: kindOf(stats) };
  }
  const stats = await file.stat();
  if (stats.isFile()) return { file, sizeBytes: stats.size };
  await file.close();
  return { strange: kindOf(stats) };
}

/** Writes the parts into a new file, mode 0600, and makes it durable unless told not to. */
export async function writeWhole(
  path: string,
  parts: readonly Uint8Array[],
  options: PutOptions,
): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    for (const part of parts) {
      for (let done = 0; done < part.byteLength;) {
        options.signal.throwIfAborted();
        const { bytesWritten } = await file.write(part, done);
        options.onWritten?.(bytesWritten);
        done += bytesWritten;
      }
    }
    if (options.durable !== false) await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Renames a file if the new name is free. If it is taken, that file stays, and this one is removed.
 * @param makeLink replaced in tests
 */
export async function nameIfFree(
  from: string,
  to: string,
  signal: AbortSignal,
  makeLink: (from: string, to: string) => Promise<void> = link,
): Promise<void> {
  try {
    await makeLink(from, to);
  } catch (error) {
    const code = systemErrorCode(error) ?? '';
    if (code === 'EEXIST') {
      await rm(from);
      return;
    }
    if (!withoutLinks.has(code)) throw error;
    // No hard links here (for example FAT): another process may take the name between this check and the rename.
    if (!(await isThere(to))) await rename(from, to);
    else await rm(from);
    await pause(OVERLAP_MS, signal);
    return;
  }
  await rm(from);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isNothingThere(error)) return false;
    throw error;
  }
}

const withoutLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
