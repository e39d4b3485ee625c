import { snapshotTime } from './files/snapshot-id.ts';

/*
 * Which snapshot is the latest. A snapshot dated in the future never is: a clock was or is wrong, so its age is unknown.
 */

export function isFromFuture(createdAt: Date, now: Date): boolean {
  return createdAt > now;
}

/** Ids of snapshots, the latest first. Those from the future come last. */
export function latestFirst(ids: Iterable<string>, now: Date): string[] {
  const newestFirst = [...ids].sort().toReversed();
  const isLater = (id: string) => isFromFuture(snapshotTime(id) ?? now, now);
  return [...newestFirst.filter((id) => !isLater(id)), ...newestFirst.filter(isLater)];
}
