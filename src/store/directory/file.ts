import { constants, link, lstat, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { pause } from '../../pipeline/polling.ts';
import { isNothingThere, systemErrorCode } from '../system-failure.ts';
import { kindOf, type OpenFolder } from './folder.ts';
import { OVERLAP_MS, type PutOptions } from '../store.ts';

/** As O_RDONLY, but never through a link, and without waiting for whoever writes into a FIFO. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens an ordinary file for reading. Gives in words what it is where it is anything else. */
export async function openOrdinary(
  folder: OpenFolder,
  name: string,
): Promise<{ file: FileHandle; sizeBytes: number } | { strange: string }> {
  let file: FileHandle;
  try {
    file = await open(folder.at(name), READ_FLAGS);
  } catch (error) {
    // a link; a socket
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

/** Makes a new file of the parts, mode 0600, and makes it durable unless told not to. */
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
 * Gives a file its name, unless something has that name already: that stays, and the file is removed.
 * @param makeLink for tests
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
    // No hard links here (FAT, for one): another may rename onto the name between the look and the rename.
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
