import type { Failure } from '../../failure.ts';
import type { GuestReader, StoredObjects } from '../../repository/guest-reader.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import { checkMaps, type CheckedMap, type ChunkFinding } from './check-maps.ts';
import { readManifests } from '../store-access/read-manifests.ts';
import { readStoredIndex, type PackContents, type StoredIndex } from './stored-index.ts';

/** Facts about packs that are known before the structure is checked. */
export interface KnownPacks extends PackContents {
  /** When each was last read and found good, in ms since 1970. */
  readMs: ReadonlyMap<string, number>;
}

/** What a guest's snapshots consist of, and what of it is missing or damaged. */
export interface Structure {
  packs: StoredObjects;
  maps: StoredObjects;
  snapshots: readonly Snapshot[];
  unreadable: readonly { id: string; failure: Failure }[];
  index: StoredIndex;
  checkedMaps: readonly CheckedMap[];
  /** By page id: why the page cannot be used. */
  badPages: ReadonlyMap<string, Failure>;
  /** Packs with needed chunks that are missing, damaged, or not as an index says. */
  lostPacks: ReadonlySet<string>;
  usedPacks: ReadonlySet<string>;
  /** How many needed chunks no index names. */
  unindexedChunks: number;
}

/** Follows every snapshot down to its chunks. */
export async function checkStructure(
  folder: GuestReader,
  known: KnownPacks,
  signal: AbortSignal,
): Promise<Structure> {
  const snapshots: Snapshot[] = [];
  const unreadable: { id: string; failure: Failure }[] = [];
  for await (const { id, snapshot, failure } of readManifests(
    folder,
    await folder.snapshotIds(signal),
    signal,
  ))
    if (snapshot === null) unreadable.push({ id, failure });
    else snapshots.push(snapshot);
  const packs = await folder.objects('packs', signal);
  const maps = await folder.objects('maps', signal);
  const index = await readStoredIndex(folder, packs, known, signal);
  const chunks = new ChunkLookup(index, known.readMs);
  const badPages = new Map<string, Failure>();
  const checkedMaps = await checkMaps(
    folder,
    snapshots.flatMap(({ id, disks }) => disks.map((disk) => ({ snapshot: id, disk }))),
    (id, length) => chunks.find(id, length),
    (page, failure) => badPages.set(page, failure),
    signal,
  );
  const { lostPacks, usedPacks, unindexedChunks } = chunks;
  return {
    packs,
    maps,
    snapshots,
    unreadable,
    index,
    checkedMaps,
    badPages,
    lostPacks,
    usedPacks,
    unindexedChunks,
  };
}

/** Finds chunks in the index, and collects which packs are used, lost or not indexed. */
class ChunkLookup {
  readonly lostPacks = new Set<string>();
  readonly usedPacks = new Set<string>();
  unindexedChunks = 0;
  readonly #index: StoredIndex;
  readonly #readMs: ReadonlyMap<string, number>;
  /** By frame number in `usable`. */
  readonly #packReadMs = new Map<number, number | null>();

  constructor(index: StoredIndex, readMs: ReadonlyMap<string, number>) {
    this.#index = index;
    this.#readMs = readMs;
  }

  find(id: Uint8Array, length: number): ChunkFinding {
    const frames = this.#index.usable.frameNumbersOf(id, length);
    if (frames.length === 0) {
      this.#noteLost(id);
      return { isThere: false, readMs: null };
    }
    let readMs: number | null = null;
    for (const frame of frames) {
      const packReadMs = this.#readMsOf(frame);
      if (packReadMs !== null) readMs = Math.max(packReadMs, readMs ?? packReadMs);
    }
    return { isThere: true, readMs };
  }

  #readMsOf(frame: number): number | null {
    let ms = this.#packReadMs.get(frame);
    if (ms === undefined) {
      const { packId } = this.#index.usable.frame(frame);
      this.usedPacks.add(packId);
      ms = this.#readMs.get(packId) ?? null;
      this.#packReadMs.set(frame, ms);
    }
    return ms;
  }

  #noteLost(id: Uint8Array): void {
    const places = this.#index.unusable.placesOf(id);
    for (const { packId } of places) this.lostPacks.add(packId);
    if (places.length === 0) this.unindexedChunks++;
  }
}
