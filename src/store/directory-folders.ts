import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../system/sync-directory.ts';
import { statIfThere } from './directory-file.ts';
import { systemErrorCode } from './directory-failure.ts';
import { foldersOf } from './store-name.ts';

/**
 * Makes the folders that a name lies in, but not the store's own directory, and makes them durable. Throws the system
 * call's own error: Node's `mkdir` with `recursive` says ENOENT for a directory that is mounted read-only.
 */
export async function makeFoldersOf(directory: string, name: string): Promise<void> {
  let above = directory;
  for (const folder of foldersOf(name).map((one) => join(directory, one))) {
    if (await isMadeNow(folder)) await syncDirectory(above);
    above = folder;
  }
}

/** False when it was there already. */
async function isMadeNow(folder: string): Promise<boolean> {
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    // what is there may be refused for another reason
    if ((await statIfThere(folder))?.isDirectory() === true) return false;
    throw error;
  }
}
