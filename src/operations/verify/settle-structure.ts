import type { Failure } from '../../failure.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { StoredObject } from '../../repository/guest-reader.ts';
import { isNotWritable } from '../../repository/files/not-writable.ts';
import { takeBack, trashed, type TrashKind } from '../../repository/trash/trash.ts';
import { checkStructure, type KnownPacks, type Structure } from './check-structure.ts';

/** A needed object that is only in the trash, and could not be moved back. */
export interface StuckInTrash {
  kind: TrashKind;
  id: string;
  failure: Failure;
}

export interface SettledStructure {
  structure: Structure;
  takenBack: number;
  stuck: readonly StuckInTrash[];
}

/** By then, a prune that runs at the same time has moved everything it wants to move. */
const MOST_LOOKS = 4;

/**
 * Checks the structure until what is missing is certainly missing: reads packs that no index names, as a restore does; moves
 * back objects that are only in the trash (doc/store.md, Who writes when); and looks again for objects that a prune has moved
 * meanwhile.
 * @param readPacks reads whole packs, and adds to `known` what it found
 */
export async function settleStructure(
  folder: GuestFolder,
  known: KnownPacks,
  readPacks: (packs: readonly StoredObject[]) => Promise<void>,
  signal: AbortSignal,
): Promise<SettledStructure> {
  let takenBack = 0;
  for (let look = 1; ; look++) {
    const structure = await checkStructure(folder, known, signal);
    const others = unnamedPacks(structure, known);
    if (others.length > 0) {
      await readPacks(others);
      continue;
    }
    const missing = missingFrom(structure);
    if (missing.every(({ ids }) => ids.length === 0) && structure.unindexedChunks === 0)
      return { structure, takenBack, stuck: [] };
    const returned = await retrieve(folder, missing, structure.unindexedChunks > 0, signal);
    takenBack += returned.moved;
    const isWorthALook = returned.moved > 0 || (await hasChanged(folder, structure, signal));
    if (!isWorthALook || look === MOST_LOOKS) return { structure, takenBack, stuck: returned.stuck };
  }
}

/** Packs about which an index is wrong; and if chunks are missing, also packs that no index names. */
function unnamedPacks(
  { packs, index, lostPacks, unindexedChunks }: Structure,
  { remains }: KnownPacks,
): StoredObject[] {
  const isComplete = lostPacks.size === 0 && unindexedChunks === 0;
  const named = new Set(index.usable.packs.map(({ id }) => id));
  const wrong = new Set(index.wrongFiles.flatMap((file) => [...file.wrong]));
  return [...packs.values()].filter(
    ({ id }) => !remains.has(id) && (wrong.has(id) || (!isComplete && !named.has(id))),
  );
}

interface Missing {
  kind: TrashKind;
  ids: string[];
}

function missingFrom({ lostPacks, packs, badPages, maps }: Structure): Missing[] {
  return [
    { kind: 'packs', ids: [...lostPacks].filter((id) => !packs.has(id)) },
    { kind: 'maps', ids: [...badPages.keys()].filter((id) => !maps.has(id)) },
  ];
}

async function retrieve(
  folder: GuestFolder,
  missing: readonly Missing[],
  isIndexWanted: boolean,
  signal: AbortSignal,
): Promise<{ moved: number; stuck: StuckInTrash[] }> {
  let moved = 0;
  const stuck: StuckInTrash[] = [];
  // Only reading them shows which index files are needed: take back all.
  const indexes = isIndexWanted ? [...(await trashed(folder, 'index', signal)).keys()] : [];
  for (const { kind, ids } of [...missing, { kind: 'index' as const, ids: indexes }]) {
    if (ids.length === 0) continue;
    try {
      moved += ids.length - (await takeBack(folder, kind, ids, signal)).length;
    } catch (error) {
      if (!isNotWritable(error)) throw error;
      const there = await trashed(folder, kind, signal);
      stuck.push(...ids.filter((id) => there.has(id)).map((id) => ({ kind, id, failure: error })));
    }
  }
  return { moved, stuck };
}

/** Whether the guest's folder has other files than before. */
async function hasChanged(folder: GuestFolder, structure: Structure, signal: AbortSignal): Promise<boolean> {
  const { snapshots, unreadable, packs } = structure;
  const ids = [...snapshots, ...unreadable].map(({ id }) => id);
  return (
    !isSameSet(ids, await folder.snapshotIds(signal)) ||
    !isSameSet(packs.keys(), (await folder.objects('packs', signal)).keys()) ||
    !isSameSet(structure.maps.keys(), (await folder.objects('maps', signal)).keys())
  );
}

function isSameSet(first: Iterable<string>, second: Iterable<string>): boolean {
  const left = new Set(first);
  const right = new Set(second);
  return left.size === right.size && [...left].every((id) => right.has(id));
}
