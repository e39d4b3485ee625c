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
