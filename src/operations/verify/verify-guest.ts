import type { SealKey } from '../../codec/seal.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { FramePool } from '../../frame/frame-pool.ts';
import type { CheckRecord, SnapshotCheck } from '../../repository/check-record.ts';
import type { GuestFolder, StoredObject } from '../../repository/guest-folder.ts';
import { checkPacks } from './check-packs.ts';
import type { Structure } from './check-structure.ts';
import { choosePacks } from './choose-packs.ts';
import { damagedSnapshots, problemsOf, unreferenced } from './describe-damage.ts';
import { settleStructure } from './settle-structure.ts';
import { readCheckRecord, writeCheckRecord } from './stored-check-records.ts';
import type { FileCount, GuestVerdict } from './verify-report.ts';

export interface VerifyGuestOptions {
  sealKey: SealKey;
  /** How much of the packs' bytes to read: 0 to 100. Those that were found damaged before are read in any case. */
  readPercent: number;
}

export interface VerifyGuestDependencies {
  pool: FramePool;
  now: () => Date;
}

/**
 * Verifies all snapshots of a guest, and writes down in the store what it found: which packs are damaged, which were read
 * when, and which snapshots are whole. Throws what reading from the store throws; damage is told, not thrown.
 */
export async function verifyGuest(
  folder: GuestFolder,
  options: VerifyGuestOptions,
  { pool, now }: VerifyGuestDependencies,
  context: Context,
): Promise<GuestVerdict> {
  const { signal } = context;
  const notes = new Notes(folder, context);
  const stored = await readCheckRecord(folder, signal);
  const marked = await folder.marks('damaged', signal);
  const nowMs = wholeSeconds(now());
  const packs = await folder.objects('packs', signal);
  const { readPercent, sealKey } = options;
  const chosen = readPercent === 0 ? [] : choosePacks(packs, readPercent, stored.record.packs, nowMs);
  const toRead = new Set([...[...packs.values()].filter(({ id }) => marked.has(id)), ...chosen]);

  const reading = await readPacks(folder, [...toRead], { pool, sealKey }, context);
  const readMs = new Map(stored.record.packs);
  for (const id of reading.good) readMs.set(id, nowMs);
  for (const [id] of reading.damaged) readMs.set(id, nowMs);
  const known = { damaged: new Map([...reading.damaged].map(([id, { goodIds }]) => [id, goodIds])), readMs };
  const { structure, takenBack, stuck } = await settleStructure(folder, known, signal);

  const damagedPages = [...structure.badPages.keys()].filter((id) => structure.maps.has(id));
  await notes.mark(new Set([...reading.damaged.keys(), ...damagedPages]), marked);
  await notes.unmark([...reading.good, ...goodPages(structure, marked)], marked);
  for (const [id] of reading.damaged) readMs.delete(id);
  await notes.record(recordOf(structure, readMs, stored.record, nowMs), stored.files);

  return {
    guest: folder.guest,
    snapshots: structure.snapshots.length + structure.unreadable.length,
    packs: countOf(structure.packs.values()),
    read: reading.read,
    problems: problemsOf(folder, structure, reading.damaged, stuck, stored.failures),
    damaged: damagedSnapshots(structure),
    unreferenced: unreferenced(structure),
    takenBack,
  };
}

interface Reading {
  good: string[];
  damaged: Map<string, { damage: string; goodIds: Uint8Array }>;
  read: FileCount;
}

async function readPacks(
  folder: GuestFolder,
  packs: readonly StoredObject[],
  work: { pool: FramePool; sealKey: SealKey },
  { signal, report }: Context,
): Promise<Reading> {
  const reading: Reading = { good: [], damaged: new Map(), read: { count: 0, bytes: 0 } };
  const totalBytes = countOf(packs).bytes;
  for await (const { pack, damage, goodIds } of checkPacks(folder, packs, work, signal)) {
    if (damage === null) reading.good.push(pack.id);
    else reading.damaged.set(pack.id, { damage, goodIds });
    reading.read.count++;
    reading.read.bytes += pack.sizeBytes;
    report({ type: 'progress', stage: 'check', doneBytes: reading.read.bytes, totalBytes, sentBytes: 0 });
  }
  return reading;
}

/** What of it the next verify, list and backup should know. */
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
  for (const { snapshot, damaged, readMs: oldest } of checkedMaps) {
    const other = wholeSince.has(snapshot) ? (wholeSince.get(snapshot) ?? null) : Infinity;
    const isKnown = damaged.length === 0 && oldest !== null && other !== null;
    wholeSince.set(snapshot, isKnown ? Math.min(oldest, other) : null);
  }
  const damaged = new Set(
    checkedMaps.filter((map) => map.damaged.length > 0).map(({ snapshot }) => snapshot),
  );
  for (const { id } of snapshots) {
    const check = checks.get(id);
    if (check === undefined || damaged.has(id)) continue;
    const oldest = wholeSince.get(id) ?? null;
    // A snapshot of nothing but zeros needs no pack: it is as whole as its maps are now.
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

/** What is written down in the store; a store that may only be read is verified all the same. */
class Notes {
  readonly #folder: GuestFolder;
  readonly #context: Context;
  #isRefused = false;

  constructor(folder: GuestFolder, context: Context) {
    this.#folder = folder;
    this.#context = context;
  }

  async mark(damaged: ReadonlySet<string>, marked: ReadonlySet<string>): Promise<void> {
    const { signal } = this.#context;
    for (const id of damaged)
      if (!marked.has(id)) await this.#write(() => this.#folder.mark('damaged', id, signal));
  }

  async unmark(good: readonly string[], marked: ReadonlySet<string>): Promise<void> {
    const { signal } = this.#context;
    for (const id of good)
      if (marked.has(id)) await this.#write(() => this.#folder.unmark('damaged', id, signal));
  }

  async record(record: CheckRecord, replaced: readonly string[]): Promise<void> {
    await this.#write(() => writeCheckRecord(this.#folder, record, replaced, this.#context.signal));
  }

  async #write(work: () => Promise<void>): Promise<void> {
    if (this.#isRefused) return;
    try {
      await work();
    } catch (error) {
      if (
        !(error instanceof Failure) ||
        (error.code !== 'target-not-writable' && error.code !== 'target-full')
      )
        throw error;
      this.#isRefused = true;
      const message = `What was found cannot be kept in the store, so the next backup will not know of it: ${error.message}`;
      this.#context.report({ type: 'warning', code: 'other', message });
    }
  }
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
