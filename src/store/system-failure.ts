import { asFailure, Failure } from '../failure.ts';

/** The access to the store's directory that a system call was for. */
export type DirectoryAccess = 'read' | 'write';

/** Explains the error of a system call in a store's directory. Any other error is returned unchanged. */
export function explainSystemError(error: unknown, location: string, access: DirectoryAccess): unknown {
  const cause = error;
  switch (systemErrorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Failure('target-full', `${location} is full.`, {
        advice: 'Free some space there, or name a directory on a larger file system.',
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

/** For directories on this machine and on a server. */
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

/** Removes paths of open descriptors, by which folders of a store are reached: they mean nothing to the user. */
function messageOf(error: unknown): string {
  return (error as Error).message.replaceAll(/\/proc\/self\/fd\/\d+\/?/g, '');
}

/** The errno name of a system call's error; null for any other error. */
export function systemErrorCode(error: unknown): string | null {
  const { syscall, code } = error as NodeJS.ErrnoException;
  return syscall === undefined ? null : (code ?? null);
}

/** Whether nothing has that name, or a part of the path is not a folder. */
export function isNothingThere(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '');
}
