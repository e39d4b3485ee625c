import { AsyncLocalStorage } from 'node:async_hooks';
import { realpathSync } from 'node:fs';
import { sep } from 'node:path';
import { Failure } from '../../../failure.ts';
import { errorCode } from '../../../system/error-code.ts';

const named = new AsyncLocalStorage<readonly string[]>();

/**
 * While the work runs, backing files may also lie in these directories, or below them, or be one of these files. Everything else
 * that holds for a backing file still does. The permission is the command's and not the guest's: it is in no definition, so that
 * neither a store nor another machine can give it. Throws Failure `usage` for a path that is not there, and for the root directory.
 */
export function withBackingDirectories<Result>(paths: readonly string[], work: () => Result): Result {
  return paths.length === 0 ? work() : named.run(paths.map(resolved), work);
}

/** Whether the person named a place that this file lies in. @param path absolute, links resolved */
export function isNamedForBacking(path: string): boolean {
  return (named.getStore() ?? []).some((one) => path === one || path.startsWith(one + sep));
}

function resolved(path: string): string {
  const real = orUsage(path, () => realpathSync(path));
  if (real !== sep) return real;
  throw new Failure('usage', 'Backing files cannot be allowed in the root directory, which has every file.', {
    advice: 'Name the directory that they lie in.',
  });
}

function orUsage<Result>(path: string, call: () => Result): Result {
  try {
    return call();
  } catch (cause) {
    const code = errorCode(cause);
    if (code === '') throw cause;
    throw new Failure('usage', `The place of backing files ${path} cannot be looked at: ${code}.`, {
      advice: 'Check the path; a relative path starts at the current directory.',
      cause,
    });
  }
}
