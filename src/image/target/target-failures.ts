import { Failure, orShortage } from '../../failure.ts';
import { command, here, placed } from '../../placed-text.ts';
import { errorCode, errorMessage } from '../../system/error-code.ts';

export function targetExists(path: string, cause?: unknown): Failure {
  return new Failure('target-exists', placed`${path} exists already ${here}.`, {
    advice: 'Nothing is ever overwritten. Move it away, or choose another directory.',
    cause,
  });
}

export function directoryMissing(directory: string, cause?: unknown): Failure {
  return new Failure('target-missing', placed`There is no directory ${directory} ${here}.`, {
    advice: placed`Make it (${command('mkdir', '-p', directory)}), or choose another.`,
    cause,
  });
}

/** The Failure for an error of the operating system; returns anything else unchanged. */
export function writeFailureOf(error: unknown, path: string): unknown {
  const known = orShortage(error);
  if (known instanceof Failure) return known;
  const message = `${path} cannot be written: ${errorMessage(error)}.`;
  switch (errorCode(error)) {
    case '':
      return error;
    case 'EEXIST':
      return targetExists(path, error);
    case 'EBUSY':
      return new Failure('image-in-use', `${path} is in use.`, { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ELOOP':
      return new Failure('target-not-writable', message, { cause: error });
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new Failure('target-full', message, {
        advice: 'Make room there, or choose another place.',
        cause: error,
      });
    default:
      return new Failure('write-failed', message, { cause: error });
  }
}
