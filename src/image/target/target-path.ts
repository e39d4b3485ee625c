import { lstat, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCode } from '../../system/error-code.ts';
import { directoryMissing } from './target-failures.ts';

const LONGEST_FILE_NAME_BYTES = 255;
/** Added to the name of a file while it is made: `.partial`, and for its claim `.partial.vmferry`. */
const LONGEST_SUFFIX_BYTES = '.partial.vmferry'.length;

/** Whether the name leaves room for the suffixes that a file has while it is made. */
export function isFileNameShort(path: string): boolean {
  return Buffer.byteLength(basename(path)) + LONGEST_SUFFIX_BYTES <= LONGEST_FILE_NAME_BYTES;
}

/** The path of a file until it is complete. */
export function partialPath(finalPath: string): string {
  return join(dirname(finalPath), `${basename(finalPath)}.partial`);
}

/** Whether anything is at the path. A link counts, even if it leads nowhere. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Throws Failure `target-missing` unless the directory is there. */
export async function requireDirectory(path: string): Promise<void> {
  const there = await stat(path).catch(() => null);
  if (there?.isDirectory() !== true) throw directoryMissing(path);
}
