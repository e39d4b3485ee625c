import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure, type FailureCode } from '../failure.ts';
import { errorCode } from './error-code.ts';
import { makeDirectories } from './make-directories.ts';
import { replaceFile } from './replace-file.ts';

/**
 * Replaces a file in which vmferry remembers something on this machine. Makes its directory where needed. Survives a loss of
 * power. Throws Failure `target-full`, `target-not-writable` (mounted read-only), `not-permitted` or `write-failed`.
 * @param what the subject of the message: ‘The record of web’
 */
export async function writeStateFile(file: string, text: string, what: string): Promise<void> {
  const directory = dirname(file);
  try {
    await makeDirectories(directory, 0o700);
    await replaceFile(file, text, 0o600);
  } catch (error) {
    throw notKept(what, directory, error);
  }
}

/** Tests whether `writeStateFile` could write there. Throws the same failures. */
export async function tryStateDirectory(directory: string, what: string): Promise<void> {
  const file = join(directory, '.write-check');
  // Not empty: an empty file can be written to a full disk.
  await writeStateFile(file, `${'-'.repeat(4096)}\n`, what);
  await rm(file, { force: true });
}

export function notKept(what: string, directory: string, cause: unknown): Failure {
  const [code, reason] = reasonOf(cause);
  return new Failure(code, `${what} cannot be kept in ${directory}: ${reason}.`, {
    advice:
      code === 'target-full'
        ? 'Make room there. Or set VMFERRY_STATE_DIR to a directory elsewhere, and keep it set.'
        : 'Set VMFERRY_STATE_DIR to a directory that you may write to, and keep it set.',
    cause,
  });
}

function reasonOf(cause: unknown): [FailureCode, string] {
  const code = errorCode(cause);
  switch (code) {
    case 'ENOSPC':
      return ['target-full', 'its file system is full'];
    case 'EDQUOT':
      return ['target-full', 'the quota is used up'];
    case 'EROFS':
      return ['target-not-writable', 'its file system is mounted read-only'];
    case 'EIO':
      return ['write-failed', 'the disk reports an error (EIO)'];
    case 'EACCES':
    case 'EPERM':
      return ['not-permitted', 'permission denied'];
    default:
      return ['not-permitted', code];
  }
}
