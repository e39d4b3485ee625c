import type { PackedChunks, PackedFrame } from '../../pack/pack-layout.ts';
import type { SealKey } from '../../seal/seal.ts';
import type { Context } from '../../events.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { CheckRecord, SnapshotCheck } from '../../repository/check-record.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { StoredObject } from '../../repository/guest-reader.ts';
import { packDigest } from '../../repository/chunk-index/index-text.ts';
import { checkPacks } from './check-packs.ts';
import type { KnownPacks, Structure } from './check-structure.ts';
import { choosePacks } from './choose-packs.ts';
import { damagedSnapshots, problemsOf, unreferenced } from './describe-damage.ts';
import { settleStructure } from './settle-structure.ts';
import { readCheckRecord } from '../store-access/stored-check-records.ts';
import { VerifyNotes } from './verify-notes.ts';
import type { FileCount, GuestVerdict } from './verify-report.ts';

export interface VerifyGuestOptions {
  sealKey: SealKey;
  /** How much of the packs' bytes to read: 0 to 100. Packs marked as damaged are always read. */
  readPercent: number;
}

export interface VerifyGuestDependencies {
  pool: FramePool;
  now: () => Date;
}

/**
 * Verifies all snapshots of a guest, and records in the store what it found: which packs are damaged, when each was read, and
 * which snapshots are whole. Throws what reading from the store throws. Damage is returned, not thrown.
 */
export async function verifyGuest(
  folder: GuestFolder,
  options: VerifyGuestOptions,
  { pool, now }: VerifyGuestDependencies,
  context: Context,
): Promise<GuestVerdict> {
  const { signal } = context;
  const notes = new VerifyNotes(folder, context);
  const stored = await readCheckRecord(folder, signal);
  const marked = await folder.marks('damaged', signal);
  const nowMs = wholeSeconds(now());
  const packs = await folder.objects('packs', signal);
  const { readPercent, sealKey } = options;
  const chosen = readPercent === 0 ? [] : choosePacks(packs, readPercent, stored.record.packs, nowMs);
  const toRead = new Set([...[...packs.values()].filter(({ id }) => marked.has(id)), ...chosen]);

  const reading = newReading(stored.record.packs);
  const read = (some: readonly StoredObject[], isUnnamed: boolean) =>
    readPacks(folder, some, { pool, sealKey }, { reading, isUnnamed, nowMs }, context);
  await read([...toRead], false);
  const { structure, takenBack, stuck } = await settleStructure(
    folder,
    reading,
    (others) => read(others, true),
    signal,
  );

  const damagedPages = [...structure.badPages.keys()].filter((id) => structure.maps.has(id));
  await notes.mark(new Set([...reading.damaged.keys(), ...damagedPages]), marked);
  const corrected = await notes.correctIndexes(structure, reading.layouts);
  await notes.unmark([...reading.good, ...goodPages(structure, marked)], marked);
  for (const id of reading.damaged.keys()) reading.readMs.delete(id);
  await notes.record(recordOf(structure, reading.readMs, stored.record, nowMs), stored.files);

  return {
    guest: folder.guest,
    snapshots: structure.snapshots.length + structure.unreadable.length,
    packs: countOf(structure.packs.values()),
    read: reading.read,
    problems: problemsOf(
      folder,
      structure,
      { damagedPacks: reading.damaged, stuck, corrected },
      stored.failures,
    ),
    damaged: damagedSnapshots(structure),
    unreferenced: unreferenced(structure),
    takenBack,
  };
}

/** What was read, and what is known about packs from this verify and earlier ones. */
interface Reading extends KnownPacks {
  good: string[];
  damaged: Map<string, { damage: string }>;
  read: FileCount;
  remains: Map<string, PackedChunks>;
  digests: Map<string, string>;
  /** By pack id: the tables of packs that no index describes correctly. */
  layouts: Map<string, readonly PackedFrame[]>;
  readMs: Map<string, number>;
}

function newReading(readMs: ReadonlyMap<string, number>): Reading {
  return {
    good: [],
    damaged: new Map(),
    read: { count: 0, bytes: 0 },
    remains: new Map(),
    digests: new Map(),
    layouts: new Map(),
    readMs: new Map(readMs),
  };
}

async function readPacks(
  folder: GuestFolder,
  packs: readonly StoredObject[],
  work: { pool: FramePool; sealKey: SealKey },
  { reading, isUnnamed, nowMs }: { reading: Reading; isUnnamed: boolean; nowMs: number },
  { signal, report }: Context,
): Promise<void> {
  const { good, damaged, read, remains, digests, layouts, readMs } = reading;
  const totalBytes = read.bytes + countOf(packs).bytes;
  for await (const finding of checkPacks(folder, packs, work, signal)) {
    const { pack, damage, frames } = finding;
    if (damage === null) {
      good.push(pack.id);
      digests.set(pack.id, packDigest({ ...pack, frames }));
      if (isUnnamed) layouts.set(pack.id, frames);
    } else damaged.set(pack.id, { damage });
    readMs.set(pack.id, nowMs);
    if (damage !== null || isUnnamed) remains.set(pack.id, finding.good);
    read.count++;
    read.bytes += pack.sizeBytes;
    report({ type: 'progress', stage: 'check', doneBytes: read.bytes, totalBytes, sentBytes: 0 });
  }
}

/** What later commands should know about this verify. */
function recordOf(
  { packs, snapshots, unreadable, checkedMaps }: Structure,
  readMs: ReadonlyMap<string, number>,
  before: CheckRecord,
  checkedMs: number,
): CheckRecord {
  const checks = new Map<string, SnapshotCheck>();
  for (const { id } of [...snapshots, ...unreadable]) {
    const bootedMs = before.snapshots.get(id)?.bootedMs ?? null;
    checks.set(id, { checkedMs, state: 'damaged', readMs: null, bootedMs });
  }
  const wholeSince = new Map<string, number | null>();
  for (const { snapshot, damage, readMs: oldest } of checkedMaps) {
    const other = wholeSince.has(snapshot) ? (wholeSince.get(snapshot) ?? null) : Infinity;
    const isKnown = damage.bytes === 0 && oldest !== null && other !== null;
    wholeSince.set(snapshot, isKnown ? Math.min(oldest, other) : null);
  }
  const damaged = new Set(
    checkedMaps.filter(({ damage }) => damage.bytes > 0).map(({ snapshot }) => snapshot),
  );
  for (const { id } of snapshots) {
    const check = checks.get(id);
    if (check === undefined || damaged.has(id)) continue;
    const oldest = wholeSince.get(id) ?? null;
    // A snapshot of zeros alone needs no pack: checking its maps has checked all of it.
    checks.set(id, { ...check, state: 'whole', readMs: oldest === Infinity ? checkedMs : oldest });
  }
  return { packs: new Map([...readMs].filter(([id]) => packs.has(id))), snapshots: checks };
}

function goodPages({ snapshots, badPages }: Structure, marked: ReadonlySet<string>): string[] {
  const used = new Set<string>();
  for (const { disks } of snapshots)
    for (const { pages } of disks)
      for (const id of pages) if (id !== null && marked.has(id) && !badPages.has(id)) used.add(id);
  return [...used];
}

function countOf(files: Iterable<StoredObject>): FileCount {
  let count = 0;
  let bytes = 0;
  for (const { sizeBytes } of files) {
    count++;
    bytes += sizeBytes;
  }
  return { count, bytes };
}

function wholeSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1000) * 1000;
}
