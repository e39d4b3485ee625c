import type { Options } from 'yargs';
import { durationForm, parseDuration } from '../../config/duration.ts';
import { Failure } from '../../failure.ts';
import type { KeepSettings } from '../../config/config.ts';
import { optionalText, wholeNumber, type Arguments } from './options.ts';

const counts = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const mostSnapshots = 100_000;

/** For every command that chooses which snapshots a prune keeps. */
export const keepOptions = {
  'keep-last': { type: 'number', requiresArg: true, describe: 'Keep the newest N snapshots' },
  'keep-hourly': {
    type: 'number',
    requiresArg: true,
    describe: 'Keep one snapshot for each of the last N hours that have one',
  },
  'keep-daily': { type: 'number', requiresArg: true, describe: 'The same for days' },
  'keep-weekly': { type: 'number', requiresArg: true, describe: 'The same for weeks' },
  'keep-monthly': { type: 'number', requiresArg: true, describe: 'The same for months' },
  'keep-yearly': { type: 'number', requiresArg: true, describe: 'The same for years' },
  'keep-within': {
    type: 'string',
    requiresArg: true,
    describe: 'Keep all snapshots younger than this: 36h, 30d, 8w',
  },
} as const satisfies Record<string, Options>;

/** The given rules, or an empty object. Throws Failure `usage`. */
export function readKeepOptions(args: Arguments): KeepSettings {
  const rules: KeepSettings = {};
  for (const rule of counts)
    if (args[`keep-${rule}`] !== undefined) rules[rule] = wholeNumber(args, `keep-${rule}`, 1, mostSnapshots);
  const within = optionalText(args, 'keep-within');
  if (within === null) return rules;
  const withinMs = parseDuration(within);
  if (withinMs === null) throw new Failure('usage', `--keep-within takes ${durationForm}.`);
  return { ...rules, withinMs };
}
