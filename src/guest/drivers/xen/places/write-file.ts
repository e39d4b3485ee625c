import { dirname } from 'node:path';
import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import { errorCode } from '../../../../system/error-code.ts';
import { makeDirectories } from '../../../../system/make-directories.ts';
import { replaceFile } from '../../../../system/replace-file.ts';

/** Creates or replaces a file that only root reads: a configuration may hold a VNC password. Makes its directory. */
export async function writeXenFile(path: string, text: string): Promise<void> {
  await changing(path, async () => {
    await makeDirectories(dirname(path), 0o755);
    await replaceFile(path, text, 0o600);
  });
}

/** Throws Failure `target-not-writable` or `target-full` for an error of the file system. */
export async function changing(path: string, change: () => Promise<void>): Promise<void> {
  try {
    await change();
  } catch (error) {
    const code = errorCode(error);
    if (code === '') throw error;
    const isFull = code === 'ENOSPC' || code === 'EDQUOT';
    throw new Failure(
      isFull ? 'target-full' : 'target-not-writable',
      placed`${path} cannot be changed ${here} (${code}).`,
      { cause: error },
    );
  }
}
