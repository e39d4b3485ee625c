import { chmod, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDirectories } from '../../system/make-directories.ts';

/** Other accounts may open files in it that they may read, and list nothing. */
const SEARCH_MODE = 0o711;

/**
 * Makes the directory of files that a hypervisor reads under an account of its own, as QEMU does under libvirt. The directory above it is
 * vmferry's, too: the other things in it have modes of their own.
 */
export async function makePassable(directory: string): Promise<void> {
  await makeDirectories(directory, SEARCH_MODE);
  for (const path of [dirname(directory), directory]) {
    const { mode } = await stat(path);
    if ((mode & 0o011) !== 0o011) await chmod(path, (mode & 0o7777) | 0o011);
  }
}
