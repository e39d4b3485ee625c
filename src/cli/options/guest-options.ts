import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import { flag, wholeNumber, type Arguments } from './options.ts';

/** A day: longer than any guest halts or boots, short enough for a timer. */
const longestTimeoutSeconds = 86_400;

/** Of every command that halts a guest. */
export const haltOptions = {
  'force-halt': {
    type: 'boolean',
    describe: 'Kill the guest if it does not halt in an orderly way; its disk is then not clean',
  },
  'halt-timeout': {
    type: 'number',
    default: 60,
    requiresArg: true,
    describe: 'Seconds for each way of halting it',
  },
} as const satisfies Record<string, Options>;

/** Of every command that boots a guest. */
export const bootOptions = {
  'boot-timeout': {
    type: 'number',
    default: 60,
    requiresArg: true,
    describe: 'Seconds for the guest to be up',
  },
} as const satisfies Record<string, Options>;

/** Of every command that backs guests up. */
export const maxPauseOption = {
  'max-pause': {
    type: 'number',
    requiresArg: true,
    describe:
      'Seconds that a guest waits while nothing comes through to the store; then it goes on, and its backup fails (default: ' +
      '30 with --pause, 120 with --halt)',
  },
} as const satisfies Record<string, Options>;

/** Null: not given. Throws Failure `usage`. */
export function readMaxPauseMs(args: Arguments): number | null {
  if (args['max-pause'] === undefined) return null;
  if (!flag(args, 'pause') && !flag(args, 'halt'))
    throw new Failure(
      'usage',
      '--max-pause goes with --pause or --halt: else no guest waits for its backup.',
    );
  return 1000 * wholeNumber(args, 'max-pause', 1, longestTimeoutSeconds);
}

/** Throws Failure `usage`. */
export function readHaltOptions(args: Arguments): { forceHalt: boolean; haltTimeoutMs: number } {
  return {
    forceHalt: flag(args, 'force-halt'),
    haltTimeoutMs: 1000 * wholeNumber(args, 'halt-timeout', 1, longestTimeoutSeconds),
  };
}

/** Throws Failure `usage`. */
export function readBootOptions(args: Arguments): { bootTimeoutMs: number } {
  return { bootTimeoutMs: 1000 * wholeNumber(args, 'boot-timeout', 1, longestTimeoutSeconds) };
}
