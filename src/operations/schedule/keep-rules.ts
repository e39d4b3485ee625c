import { durationText } from '../../config/duration.ts';

/**
 * Which snapshots a prune keeps: the newest `last`; the newest of each of the last `hourly` hours that have a snapshot, and so
 * on for days, weeks, months and years; and all that are at most `withinMs` milliseconds old. A snapshot is kept if any rule
 * keeps it. Each number is a whole number of one or more.
 */
export interface KeepRules {
  last?: number;
  hourly?: number;
  daily?: number;
  weekly?: number;
  monthly?: number;
  yearly?: number;
  withinMs?: number;
}

/** The rules as options of `vmferry prune`. */
export function keepArguments({ withinMs, ...counts }: KeepRules): string[] {
  const words = Object.entries(counts).flatMap(([rule, count]) => [`--keep-${rule}`, String(count)]);
  return withinMs === undefined ? words : [...words, '--keep-within', durationText(withinMs)];
}
