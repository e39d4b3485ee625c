import { snapshotTime } from './files/snapshot-id.ts';

/*
 * Which snapshot is the latest. One that is dated later than now is not: were the clock wrong when it was made, or is it now,
 * it says nothing of its age.
 */

export function isFromFuture(createdAt: Date, now: Date): boolean {
  return createdAt > now;
}

/** Ids of snapshots, the latest first; those from the future come last, whatever their order among themselves. */
export function latestFirst(ids: Iterable<string>, now: Date): string[] {
  const newestFirst = [...ids].sort().toReversed();
  const isLater = (id: string) => isFromFuture(snapshotTime(id) ?? now, now);
  return [...newestFirst.filter((id) => !isLater(id)), ...newestFirst.filter(isLater)];
}
