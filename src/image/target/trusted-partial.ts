import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../../failure.ts';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Throws Failure `target-exists` unless only this account can write to an incomplete file and to its directory. Otherwise
 * somebody else may have prepared the file, and could read and change what is restored: by a second name, or by a
 * descriptor that is open already.
 * @param file of the opened file, or of `lstat`
 */
export async function requireOwnFile(file: Stats, path: string): Promise<void> {
  const problem = problemOfFile(file) ?? problemOfDirectory(await stat(dirname(path)), dirname(path));
  if (problem === null) return;
  throw new Failure('target-exists', `${path} cannot be continued safely: ${problem}.`, {
    advice:
      'Somebody else may have prepared or changed it. Remove it to start again, or restore to a directory that only this account may write to.',
  });
}

function problemOfFile(file: Stats): string | null {
  if (!file.isFile()) return 'it is no ordinary file';
  if (file.uid !== ownUid()) return 'it belongs to another account';
  if (file.nlink !== 1) return 'it has a second name (a hard link)';
  if ((file.mode & WRITABLE_BY_OTHERS) !== 0) return 'other accounts may write to it';
  return null;
}

/** In a directory with the sticky bit (/tmp) only the owner of a file, or the directory's, can rename it. */
function problemOfDirectory({ uid, mode }: Stats, directory: string): string | null {
  if (uid !== ownUid() && uid !== 0) return `the directory ${directory} belongs to another account`;
  const isOpen = (mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0;
  return isOpen ? `other accounts may write to the directory ${directory}` : null;
}

function ownUid(): number {
  return process.geteuid?.() ?? -1;
}
