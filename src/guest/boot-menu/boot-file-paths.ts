import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { BootFilePaths } from './take-boot-files.ts';

const RANDOM_BYTES = 6;

/**
 * Names for files that are made to boot this guest. No file has them yet: an undone move removes its own files, and those of an earlier move of
 * the same guest may be needed to start it again.
 */
export function newBootFilePaths(stateDirectory: string, guest: string): BootFilePaths {
  const name = `${guest}-${randomBytes(RANDOM_BYTES).toString('hex')}`;
  return { kernel: join(stateDirectory, 'kernel', name), initrd: join(stateDirectory, 'initrd', name) };
}

/** Whether this machine has made the file to boot a guest. @param made any names that it makes */
export function isMadeToBoot(path: string | null, made: BootFilePaths): boolean {
  return path !== null && Object.values(made).some((other) => dirname(other) === dirname(path));
}
