import type { Context } from '../../events.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import { announcedSnapshots, dropAnnouncement } from '../../repository/announced-snapshot.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { StoredObject } from '../../repository/guest-reader.ts';
import { planPacks, type PackPlan } from '../../repository/retention/prune-plan.ts';
import { snapshotId } from '../../repository/files/snapshot-id.ts';
import { beginBatch, removeEmptyBatch } from '../../repository/trash/trash-batch.ts';
import { throwAway, type TrashKind } from '../../repository/trash/trash.ts';
import { deletable, emptyTrash } from './empty-trash.ts';
import { decideSnapshots, expire, removeStaleMarks } from './expire.ts';
import { mergeIndex } from './merge-index.ts';
import { PackFacts } from './pack-facts.ts';
import type { PruneClock, PruneOptions } from './prune-options.ts';
import type { GuestPrune } from './prune-report.ts';
import { Reached, readSnapshots, type ReachingSnapshot } from './reached.ts';
import { removeLeftovers } from './remove-leftovers.ts';
import { rewritePacks } from './rewrite-packs.ts';
import { settle, survey, type PruneKnowledge, type Survey } from './survey.ts';

const MOVES_AT_ONCE = 8;

/**
 * Prunes one guest as doc/store.md says. `result` is updated after each step, so that it is right even if a later step fails.
 * Throws Failure `store-damaged` or `store-unsupported` if it cannot find out what a snapshot needs, and what the store throws.
 */
export async function pruneGuest(
  folder: GuestFolder,
  options: PruneOptions,
  clock: PruneClock,
  result: GuestPrune,
  context: Context,
): Promise<void> {
  const { signal } = context;
  const batch = snapshotId(clock.now(), clock.randomHex(5));
  const serverNowMs = await beginBatch(folder, batch, signal);
  if (serverNowMs === 0 && options.graceMs > 0) warnOfNoTimes(folder, context);
  try {
    const olderThanMs = serverNowMs - options.graceMs;
    await removeLeftovers(folder, serverNowMs, options.graceMs, signal);
    await dropOldAnnouncements(folder, olderThanMs, signal);
    await removeStaleMarks(folder, olderThanMs, signal);
    const kept = await expire(folder, options.rules, clock, result, signal);
    const knowledge = await learn(folder, kept, signal);
    const before = await settle(knowledge, signal);
    const hasMoved = await clearOut(knowledge, before, { ...options, olderThanMs, batch }, result, context);
    const after = hasMoved ? await settle(knowledge, signal) : before;
    warnOfDamage(knowledge, after, context);
    const gone = deletable(knowledge, after, olderThanMs);
    await emptyTrash(knowledge, after, gone, olderThanMs, signal);
    result.freedBytes = bytesOf(gone);
    result.missingChunks = after.cover.uncoveredCount;
  } catch (error) {
    // Report the first error: cleaning up may fail for the same reason.
    if (!signal.aborted) await removeEmptyBatch(folder, batch, signal).catch(() => undefined);
    throw error;
  }
  await removeEmptyBatch(folder, batch, signal);
}

/** Finds out what `pruneGuest` would do, and changes nothing in the store. */
export async function foreseePrune(
  folder: GuestFolder,
  options: PruneOptions,
  clock: PruneClock,
  result: GuestPrune,
  { signal }: Context,
): Promise<void> {
  const snapshots = await readSnapshots(folder, new Set(), signal);
  const decided = await decideSnapshots(folder, snapshots, options.rules, clock, signal);
  const { kept, expired } = decided;
  result.kept.push(...decided.decisions);
  result.removed.push(...expired);
  const knowledge = await learn(folder, kept, signal);
  knowledge.reached.ignore(expired);
  const found = await survey(knowledge, signal);
  const plan = planPacks(found.packs, found.cover, { olderThanMs: Infinity, maxWaste: options.maxWaste });
  result.trashedBytes = bytesOf([...plan.unneeded, ...unreachedPages(knowledge, found, Infinity)]);
  result.freedBytes = bytesOf(deletable(knowledge, found, Infinity));
  notePlan(plan, result);
  result.rewrittenPacks = plan.toRewrite.length;
  result.missingChunks = found.cover.uncoveredCount;
}

/**
 * Drops announcements of abandoned backups. A backup that still runs notices this, and announces its snapshot
 * again.
 */
async function dropOldAnnouncements(
  folder: GuestFolder,
  olderThanMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (const { id, modifiedMs } of (await announcedSnapshots(folder, signal)).values())
    if (modifiedMs <= olderThanMs) await dropAnnouncement(folder, id, signal);
}

async function learn(
  folder: GuestFolder,
  kept: readonly ReachingSnapshot[],
  signal: AbortSignal,
): Promise<PruneKnowledge> {
  const reached = new Reached();
  await reached.add(folder, kept, signal);
  return { folder, reached, facts: new PackFacts(), damaged: await folder.marks('damaged', signal) };
}

/** Moves to the trash what no snapshot needs. Returns whether there was anything to move. */
async function clearOut(
  knowledge: PruneKnowledge,
  found: Survey,
  { olderThanMs, maxWaste, batch }: { olderThanMs: number; maxWaste: number; batch: string },
  result: GuestPrune,
  context: Context,
): Promise<boolean> {
  const { folder } = knowledge;
  const { signal } = context;
  const plan = planPacks(found.packs, found.cover, { olderThanMs, maxWaste });
  notePlan(plan, result);
  const replaced = await rewritePacks(knowledge, plan.toRewrite, found.cover, context);
  result.rewrittenPacks = replaced.length;
  const indexFiles = await mergeIndex(knowledge, found, signal);
  const pages = unreachedPages(knowledge, found, olderThanMs);
  const unneeded: { kind: TrashKind; id: string; sizeBytes: number }[] = [
    ...[...plan.unneeded, ...replaced].map((pack) => ({ ...pack, kind: 'packs' as const })),
    ...pages.map((page) => ({ ...page, kind: 'maps' as const })),
    ...indexFiles.flatMap((id) => {
      const file = found.indexFiles.get(id);
      return file === undefined ? [] : [{ ...file, kind: 'index' as const }];
    }),
  ];
  const moves = mapOrdered(unneeded, MOVES_AT_ONCE, async ({ kind, id, sizeBytes }) => {
    await throwAway(folder, kind, id, batch, signal);
    return sizeBytes;
  });
  for await (const sizeBytes of moves) result.trashedBytes += sizeBytes;
  return unneeded.length > 0;
}

function unreachedPages({ reached }: PruneKnowledge, { pages }: Survey, olderThanMs: number): StoredObject[] {
  return [...pages.values()].filter(
    ({ id, modifiedMs }) => !reached.pages.has(id) && modifiedMs <= olderThanMs,
  );
}

function notePlan({ neededBytes, wastedBytes }: PackPlan, result: GuestPrune): void {
  result.neededBytes = neededBytes;
  result.wastedBytes = Math.round(wastedBytes);
}

function warnOfNoTimes({ store }: GuestFolder, { report }: Context): void {
  const message =
    `${store.location} does not say when files were written, so no file counts as older than the grace period: ` +
    'snapshots are removed, but no space is freed. To free it now, use --grace 0, preferably while no backup runs.';
  report({ type: 'warning', code: 'store-promises-less', message });
}

function warnOfDamage({ folder, facts }: PruneKnowledge, { cover }: Survey, { report }: Context): void {
  const warn = (message: string) => report({ type: 'warning', code: 'store-incomplete', message });
  for (const { message } of facts.damaged) warn(`${folder.guest}: ${message}`);
  if (cover.uncoveredCount > 0)
    warn(
      `The store has lost ${cover.uncoveredCount} chunks that snapshots of ${folder.guest} need. vmferry verify shows which snapshots are damaged. The next backup sends again those that the guest still has.`,
    );
}

function bytesOf(objects: readonly { sizeBytes: number }[]): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
