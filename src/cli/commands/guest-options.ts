import type { Options } from 'yargs';
import { flag, wholeNumber, type Arguments } from '../options.ts';

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
