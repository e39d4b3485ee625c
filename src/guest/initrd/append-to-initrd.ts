import { constants } from 'node:fs';
import { chmod, copyFile, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../failure.ts';
import { placed } from '../../placed-text.ts';
import { errorCode } from '../../system/error-code.ts';
import { syncDirectory } from '../../system/sync-directory.ts';

/** The kernel looks for the next archive at a multiple of 4 bytes (init/initramfs.c), whatever compressed the first. */
const ALIGNMENT = 4;

/**
 * Makes a copy of an initial RAM disk with an archive (`newcArchive`) at its end, whole or not at all. A file at `target`
 * is replaced. The copy has the mode of the original, since the hypervisor must be able to read it. Throws Failure `write-failed`.
 */
export async function appendToInitrd(initrd: string, archive: Uint8Array, target: string): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`);
  try {
    await rm(temporary, { force: true });
    await copyFile(initrd, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    const { size, mode } = await stat(initrd);
    await chmod(temporary, 0o600);
    const file = await open(temporary, 'a');
    try {
      await file.appendFile(Buffer.concat([Buffer.alloc(-size & (ALIGNMENT - 1)), archive]));
      await file.chmod(mode & 0o777);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
    await syncDirectory(dirname(target));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new Failure(
      'write-failed',
      placed`The initial RAM disk ${target} could not be made from ${initrd}: ${errorCode(error)}.`,
      { cause: error },
    );
  }
}
