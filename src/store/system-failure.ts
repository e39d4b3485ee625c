import { asFailure, Failure } from '../failure.ts';

/** What was done in the store's directory when a system call failed. */
export type DirectoryAccess = 'read' | 'write';

/** What a system call's error at a store's directory means for the person; anything else stays as it is. */
export function explainSystemError(error: unknown, location: string, access: DirectoryAccess): unknown {
  const cause = error;
  switch (systemErrorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Failure('target-full', `${location} is full.`, {
        advice: 'Make room there, or name a directory on a larger file system.',
        cause,
      });
    case 'EROFS':
      return new Failure('target-not-writable', readOnlyText(location), { advice: READ_ONLY_ADVICE, cause });
    case 'EACCES':
    case 'EPERM':
      return notPermitted(location, access, cause);
    case 'ENOENT':
    case 'ENOTDIR':
      return new Failure('target-missing', `There is no directory ${location}.`, {
        advice: 'Create it, or name another one.',
        cause,
      });
    case null:
      return error;
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
      return asFailure(error);
    default:
      return new Failure('transfer-failed', `${location}: ${messageOf(error)}.`, { cause });
  }
}

/** The same words for a directory here and for one on a server. */
export function readOnlyText(location: string): string {
  return `${location} is on a file system that is mounted read-only.`;
}

export const READ_ONLY_ADVICE =
  'Mount it for writing, or name another directory. list, diff, restore and verify need only read it.';

function notPermitted(location: string, access: DirectoryAccess, cause: unknown): Failure {
  if (access === 'read')
    return new Failure('not-permitted', `${location} may not be read: permission denied.`, {
      advice: 'Run vmferry as root, or as the account that the directory belongs to.',
      cause,
    });
  return new Failure('target-not-writable', `${location} may not be written to: permission denied.`, {
    advice: 'Run vmferry as the account that the directory belongs to, or name another directory.',
    cause,
  });
}

/** A store's folders are reached through open descriptors, whose paths tell a person nothing: only names within them are told. */
function messageOf(error: unknown): string {
  return (error as Error).message.replaceAll(/\/proc\/self\/fd\/\d+\/?/g, '');
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
