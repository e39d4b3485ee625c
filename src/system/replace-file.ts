import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from './sync-directory.ts';

/**
 * Replaces a file, or makes it: whole or not at all, also when power is lost. Its mode is what is asked for, whatever
 * the umask. Throws Node's own error (`code` ENOENT, EACCES, ENOSPC).
 */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const directory = dirname(path);
  // Not of the process: its number may be another's by now, or several write at once.
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.chmod(mode);
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(directory);
}
