import { touchedChunks } from '../chunk/chunk-marks.ts';
import { noChunkId } from '../chunk/chunk-id.ts';
import type { ChunkMap } from '../chunk/chunk-map.ts';
import type { KnownChunks } from '../chunk/known-chunks.ts';
import { Failure } from '../failure.ts';
import { findBases, openBase, removeBase, type BaseClone, type BaseOf } from '../image/clones/base-clone.ts';
import { changedExtents } from '../image/clones/changed-extents.ts';
import type { Extent } from '../extent/extents.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import { placedExtents } from '../image/clones/placed-extents.ts';
import { probeImage } from '../image/probe.ts';
import { usedExtents } from '../image/used-extents.ts';
import type { SourceDisk } from './source-disk.ts';

/** The snapshots that bases were kept for. */
export interface EarlierMaps {
  /** Only bases of this store count. */
  storeId: string;
  /**
   * Finds what was captured of the disk when the base was kept; null if the two cannot be compared. The map is read
   * only if the base can be opened. Throws Failure `snapshot-missing`.
   */
  find(base: BaseOf, sizeBytes: number, signal: AbortSignal): Promise<EarlierMap | null>;
}

export interface EarlierMap {
  read(): Promise<ChunkMap>;
}

/** Chunks of a disk that need not be read. */
export interface UnchangedChunks {
  /** The ids of the unchanged chunks; all others are empty. */
  map: ChunkMap;
  /** 1 at the position of each unchanged chunk. */
  marks: Uint8Array;
  count: number;
  /** To be called when one of them has changed nevertheless: nothing is left out for the same reason again. Returns what to tell. */
  distrust(): string;
}

/**
 * Finds the chunks of a disk that have not changed since a base was kept (doc/second-pass.md), and that are known at the
 * other side; null when no base can be compared. Removes a base whose snapshot is gone. Throws the signal's reason when
 * aborted.
 * @param image the guest's own image, beside which bases lie
 */
export async function findUnchanged(
  { disk, image }: { disk: SourceDisk; image: string },
  known: KnownChunks,
  maps: EarlierMaps,
  signal: AbortSignal,
): Promise<UnchangedChunks | null> {
  for (const base of findBases(image).filter(({ storeId }) => storeId === maps.storeId))
    try {
      const found = await compareWith(base, disk, known, maps, signal);
      if (found !== null) return found;
    } catch (error) {
      signal.throwIfAborted();
      // A base that cannot be used is no reason to fail: the image itself can still be read.
      if (!(error instanceof Failure) || error.code === 'internal') throw error;
      if (error.code === 'snapshot-missing') removeBase(base);
    }
  return null;
}

async function compareWith(
  base: BaseClone,
  disk: SourceDisk,
  known: KnownChunks,
  maps: EarlierMaps,
  signal: AbortSignal,
): Promise<UnchangedChunks | null> {
  const earlier = await maps.find(base, disk.source.sizeBytes, signal);
  if (earlier === null) return null;
  await using baseImage = await openBase(base, disk.source);
  if (baseImage === null) return null;
  const map = await earlier.read();
  const changed = touchedChunks(changesSince(baseImage, disk), map.grid);
  const used = touchedChunks(disk.extents(), map.grid);
  const distrust = (): string => {
    removeBase(base);
    return `${disk.name} has changed where its file system reports no change: either the file system is damaged, or something has changed ${base.path}. All of the image is read.`;
  };
  return { ...unchangedAmong(map, { used, changed }, known), distrust };
}

/** Removes the ids of all other chunks from the map. A chunk that nothing uses need not be read, and is none of these. */
export function unchangedAmong(
  map: ChunkMap,
  { used, changed }: { used: Uint8Array; changed: Uint8Array },
  known: KnownChunks,
): Pick<UnchangedChunks, 'map' | 'marks' | 'count'> {
  const marks = new Uint8Array(map.grid.chunkCount);
  let count = 0;
  for (let position = 0; position < marks.length; position++) {
    const id = map.get(position);
    const isUnchanged = used[position] === 1 && changed[position] === 0 && (id === null || known.has(id));
    if (isUnchanged) {
      marks[position] = 1;
      count++;
    } else if (id !== null) map.set(position, noChunkId);
  }
  return { map, marks, count };
}

function changesSince(base: ImageSource, { source, extents }: SourceDisk): Iterable<Extent> {
  const layout = probeImage(base);
  return changedExtents(
    { used: extents, places: () => placedExtents(source) },
    { used: () => usedExtents(base, layout, { everyBlock: false }), places: () => placedExtents(base) },
  );
}
