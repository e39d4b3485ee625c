import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../../failure.ts';
import { canOthersReplaceIn, isOwn, isOwnOrRoots, isWritableByOthers } from '../../system/file-rights.ts';

/**
 * Throws Failure `target-exists` unless only this account can write to an incomplete file and to its directory.
 * Otherwise somebody else may have prepared the file, and could read and change what is restored, through a second name
 * or an open descriptor.
 * @param file from the opened file, or from `lstat`
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
  if (!file.isFile()) return 'it is not a regular file';
  if (!isOwn(file)) return 'it belongs to another account';
  if (file.nlink !== 1) return 'it has a second name (a hard link)';
  if (isWritableByOthers(file)) return 'other accounts may write to it';
  return null;
}

function problemOfDirectory(stats: Stats, directory: string): string | null {
  if (!isOwnOrRoots(stats)) return `the directory ${directory} belongs to another account`;
  return canOthersReplaceIn(stats) ? `other accounts may write to the directory ${directory}` : null;
}

/** Whether only this account can put files into the directory, or replace them there. */
export async function isPrivateDirectory(directory: string): Promise<boolean> {
  return problemOfDirectory(await stat(directory), directory) === null;
}
