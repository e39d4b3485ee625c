import { resolve } from 'node:path';
import type { Options } from 'yargs';
import { withBackingDirectories } from '../../../operations/guests/backing-directories.ts';
import { texts, type Arguments } from '../options.ts';

/** For every command that reads images of guests. */
export const backingDirectoryOption = {
  'backing-directory': {
    type: 'string',
    requiresArg: true,
    describe:
      'Also read backing files that lie in this directory, or are this file (default: only in the image’s own directory). ' +
      'May be repeated',
  },
} as const satisfies Record<string, Options>;

/** Those that may be given several times. */
export const repeatableBackingDirectory = ['backing-directory'] as const;

/** Absolute paths. Throws Failure `usage`. */
export function readBackingDirectories(args: Arguments): string[] {
  return texts(args, 'backing-directory').map((path) => resolve(path));
}

/** The command's run, in which backing files may lie where the person said. Throws Failure `usage`. */
export function withBackingOption<Environment, Result>(
  args: Arguments,
  run: (environment: Environment) => Promise<Result>,
): (environment: Environment) => Promise<Result> {
  const directories = readBackingDirectories(args);
  return (environment) => withBackingDirectories(directories, () => run(environment));
}
