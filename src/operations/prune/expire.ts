import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import { nullIfMissing } from '../../repository/files/missing-file.ts';
import {
  decideRetention,
  type RetentionDecision,
  type RetentionRules,
} from '../../repository/retention/retention.ts';
import { MANIFEST_LIMIT_BYTES } from '../../repository/snapshot.ts';
import { isSnapshotId } from '../../repository/files/snapshot-id.ts';
import type { PruneClock } from './prune-options.ts';
import type { GuestPrune } from './prune-report.ts';
import { readSnapshots, type ReachingSnapshot } from './reached.ts';

/** Removes the snapshots that no rule keeps. Returns all others, including those that are only announced. */
export async function expire(
  folder: GuestFolder,
  rules: RetentionRules,
  clock: PruneClock,
  result: GuestPrune,
  signal: AbortSignal,
): Promise<ReachingSnapshot[]> {
  const snapshots = await readSnapshots(folder, new Set(), signal);
  const { kept, expired, decisions } = await decideSnapshots(folder, snapshots, rules, clock, signal);
  result.kept.push(...decisions);
  for (const id of expired) {
    if (await removeUnlessProtected(folder, id, signal)) result.removed.push(id);
    else {
      result.kept.push({ id, reasons: [{ rule: 'protected' }] });
      kept.push(...snapshots.filter((snapshot) => snapshot.id === id));
    }
  }
  return kept;
}

/** Decides which snapshots the rules keep, and why. `kept` also has those that are only announced. */
export async function decideSnapshots(
  folder: GuestReader,
  snapshots: readonly ReachingSnapshot[],
  rules: RetentionRules,
  { now, timeZone }: PruneClock,
  signal: AbortSignal,
): Promise<{ kept: ReachingSnapshot[]; expired: string[]; decisions: RetentionDecision[] }> {
  const marked = await folder.marks('protected', signal);
  const dated = snapshots
    .filter(({ isPublished }) => isPublished)
    .map(({ id, createdAt }) => ({ id, createdAt, isProtected: marked.has(id) }));
  const decisions = decideRetention(dated, rules, now(), timeZone);
  const isKept = ({ reasons }: RetentionDecision) => reasons.length > 0;
  const expired = new Set(decisions.filter((one) => !isKept(one)).map(({ id }) => id));
  return {
    kept: snapshots.filter(({ id }) => !expired.has(id)),
    expired: [...expired],
    decisions: decisions.filter(isKept),
  };
}

/**
 * Removes a snapshot unless it is protected, and returns whether it is gone. Another process may protect it
 * at this moment: it writes the mark first and then checks that the snapshot is there; this process removes
 * the manifest first and then checks for the mark. So at least one sees the other, and a snapshot that was
 * reported as protected stays.
 */
export async function removeUnlessProtected(
  folder: GuestFolder,
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  const isProtected = async () => (await folder.marks('protected', signal)).has(id);
  if (await isProtected()) return false;
  const name = folder.nameOf('snapshots', id);
  const manifest = await nullIfMissing(folder.read(name, MANIFEST_LIMIT_BYTES, signal));
  // Another prune has removed it already.
  if (manifest === null) return true;
  await folder.removeSnapshot(id, signal);
  if (!(await isProtected())) return true;
  await folder.store.put(name, [manifest], { signal });
  return false;
}

/**
 * Removes marks of snapshots that no longer exist.
 * @param olderThanMs by the server's clock; a younger mark may be of a snapshot that another prune is about to put back
 */
export async function removeStaleMarks(
  folder: GuestFolder,
  olderThanMs: number,
  signal: AbortSignal,
): Promise<void> {
  const marks = await folder.store.list(folder.pathOf('protected'), signal);
  const old = marks.filter(({ name, modifiedMs }) => isSnapshotId(name) && modifiedMs <= olderThanMs);
  if (old.length === 0) return;
  const there = new Set(await folder.snapshotIds(signal));
  for (const { name } of old) if (!there.has(name)) await folder.unmark('protected', name, signal);
}
