import { Failure } from '../failure.ts';

/** What a system call's error at a store's directory means for the person; anything else stays as it is. */
export function explainSystemError(error: unknown, location: string): unknown {
  const cause = error;
  switch (systemErrorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Failure('target-full', `${location} is full.`, {
        advice: 'Make room there, or name a directory on a larger file system.',
        cause,
      });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new Failure('target-not-writable', `${location} may not be written to.`, {
        advice: 'Check the permissions and that its file system is not mounted read-only.',
        cause,
      });
    case 'ENOENT':
    case 'ENOTDIR':
      return new Failure('target-missing', `There is no directory ${location}.`, {
        advice: 'Create it, or name another one.',
        cause,
      });
    case null:
      return error;
    default:
      return new Failure('transfer-failed', `${location}: ${(error as Error).message}.`, { cause });
  }
}

/** The errno's name of a system call's error; null for anything else. */
export function systemErrorCode(error: unknown): string | null {
  const { syscall, code } = error as NodeJS.ErrnoException;
  return syscall === undefined ? null : (code ?? null);
}

/** There is nothing of that name, or what should be a folder on the way to it is none. */
export function isNothingThere(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '');
}
