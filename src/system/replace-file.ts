import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from './sync-directory.ts';

/**
 * Creates or replaces a file: whole or not at all, even when power is lost. The file gets exactly this mode, whatever
 * the umask is. Throws Node's own error (`code` ENOENT, EACCES, ENOSPC).
 */
export async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  const directory = dirname(path);
  // The name is random: pids are used again, and one process may write the same file twice at the same time.
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
