import { durationText } from '../../config/duration.ts';

/**
 * Which snapshots a prune keeps: the newest `last`; the newest one of each of the last so many hours, days, weeks,
 * months and years that have any; and all that are not older than `withinMs` milliseconds. What any rule keeps is kept.
 * Each is a whole number of one or more.
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

/** The rules as the options of `vmferry prune`; none for no rules. */
export function keepArguments({ withinMs, ...counts }: KeepRules): string[] {
  const words = Object.entries(counts).flatMap(([rule, count]) => [`--keep-${rule}`, String(count)]);
  return withinMs === undefined ? words : [...words, '--keep-within', durationText(withinMs)];
}
