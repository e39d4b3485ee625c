import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import { flag, wholeNumber, type Arguments } from './options.ts';

/** A day: longer than any guest takes to halt or boot, and short enough for a timer. */
const longestTimeoutSeconds = 86_400;

/** For commands that act on several guests. */
export const allOption = {
  all: { type: 'boolean', describe: 'All guests, instead of naming them' },
} as const satisfies Record<string, Options>;

/** The guests in their order; null for all. Throws Failure `usage`. */
export function readGuests(args: Arguments): string[] | null {
  const names = namesOf(args);
  const isAll = flag(args, 'all');
  if (isAll && names.length > 0) throw new Failure('usage', '--all is for all guests, and some were named.');
  if (!isAll && names.length === 0)
    throw new Failure('usage', 'No guest was given.', { advice: 'For all of them: --all' });
  return isAll ? null : names;
}

/** For a command that has no `--all`. */
export function readNamedGuests(args: Arguments): string[] {
  const names = namesOf(args);
  if (names.length === 0)
    throw new Failure('usage', 'No guest was given.', { advice: 'See vmferry guests.' });
  return names;
}

function namesOf(args: Arguments): string[] {
  const given: unknown = args['guests'];
  return Array.isArray(given) ? [...new Set(given.map(String))] : [];
}

/** For every command that halts a guest. */
export const haltOptions = {
  'force-halt': {
    type: 'boolean',
    describe: 'Kill the guest if it does not halt cleanly; its disk is then not clean',
  },
  'halt-timeout': {
    type: 'number',
    default: 60,
    requiresArg: true,
    describe: 'Seconds to wait for each way of halting the guest',
  },
} as const satisfies Record<string, Options>;

/** For every command that boots a guest. */
export const bootOptions = {
  'boot-timeout': {
    type: 'number',
    default: 60,
    requiresArg: true,
    describe: 'Seconds to wait until the guest is up',
  },
} as const satisfies Record<string, Options>;

/** For every command that backs guests up. */
export const maxPauseOption = {
  'max-pause': {
    type: 'number',
    requiresArg: true,
    describe:
      'Seconds that a guest waits while the store accepts no data; then the guest goes on, and its backup fails ' +
      '(default: 30 with --pause, 120 with --halt)',
  },
} as const satisfies Record<string, Options>;

/** Null when not given. Throws Failure `usage`. */
export function readMaxPauseMs(args: Arguments): number | null {
  if (args['max-pause'] === undefined) return null;
  if (!flag(args, 'pause') && !flag(args, 'halt'))
    throw new Failure(
      'usage',
      '--max-pause needs --pause or --halt: without them no guest waits for its backup.',
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
