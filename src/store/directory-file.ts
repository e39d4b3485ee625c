import type { Stats } from 'node:fs';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNothingThere, systemErrorCode } from './directory-failure.ts';
import { OVERLAP_MS, type PutOptions } from './store.ts';

/** null where there is nothing; a link that leads nowhere is nothing. */
export async function statIfThere(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (isNothingThere(error)) return null;
    throw error;
  }
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
    if ((await statIfThere(to)) === null) await rename(from, to);
    else await rm(from);
    await sleep(OVERLAP_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    return;
  }
  await rm(from);
}

const withoutLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
