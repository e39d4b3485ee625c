import { touchedChunks } from '../../chunk/chunk-marks.ts';
import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { KnownChunks } from '../../chunk/known-chunks.ts';
import { Failure } from '../../failure.ts';
import { findBases, isBaseOf, openBase, removeBase, type BaseClone } from '../../image/clones/base-clone.ts';
import { changedExtents } from '../../image/clones/changed-extents.ts';
import type { Extent } from '../../extent/extents.ts';
import type { ImageSource } from '../../image/source/image-source.ts';
import { hasComparablePlaces, placedExtents } from '../../image/clones/placed-extents.ts';
import { probeImage } from '../../image/probe.ts';
import { usedExtents } from '../../image/used-extents.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { Snapshot, SnapshotDisk } from '../../repository/snapshot.ts';
import type { SourceDisk } from '../../transfer/source-disk.ts';

const noId = new Uint8Array(CHUNK_ID_BYTES);

/** What a disk is compared with. */
export interface BaseSearch {
  /** The guest's own image, beside which the base lies. */
  image: string;
  folder: GuestFolder;
  storeId: string;
  /** Of this vmferry: others may take other blocks for free. */
  version: string;
}

/** Chunks of a disk that need not be read. */
export interface UnchangedChunks {
  base: BaseClone;
  /** Their ids, or that they are empty; all others are empty. */
  map: ChunkMap;
  /** For each position 1 where the chunk is one of them. */
  marks: Uint8Array;
  count: number;
}

/**
 * Finds the chunks of a disk that a base says have not changed (doc/second-pass.md), and that the store has; null when
 * there is no base to tell. A base whose snapshot is gone is removed. Throws the signal's reason when aborted.
 */
export async function findUnchanged(
  disk: SourceDisk,
  known: KnownChunks,
  search: BaseSearch,
  signal: AbortSignal,
): Promise<UnchangedChunks | null> {
  if (!hasComparablePlaces(search.image)) return null;
  for (const base of findBases(search.image).filter(({ storeId }) => storeId === search.storeId))
    try {
      const found = await compareWith(base, disk, known, search, signal);
      if (found !== null) return found;
    } catch (error) {
      signal.throwIfAborted();
      // Whatever it is, the image itself can still be read.
      if (!(error instanceof Failure) || error.code === 'internal') throw error;
      if (error.code === 'snapshot-missing') removeBase(base);
    }
  return null;
}

async function compareWith(
  base: BaseClone,
  disk: SourceDisk,
  known: KnownChunks,
  { folder, version }: BaseSearch,
  signal: AbortSignal,
): Promise<UnchangedChunks | null> {
  const snapshot = await folder.readSnapshot(base.snapshotId, signal);
  const then = diskOf(snapshot, base, disk);
  if (then === undefined || snapshot.vmferryVersion !== version) return null;
  await using image = await openBase(base, disk.source);
  if (image === null) return null;
  const map = await folder.readChunkMap(then, signal);
  const changed = touchedChunks(changesSince(image, disk), map.grid);
  const used = touchedChunks(disk.extents(), map.grid);
  const marks = new Uint8Array(map.grid.chunkCount);
  let count = 0;
  for (let position = 0; position < marks.length; position++) {
    const id = map.get(position);
    const isUnchanged = used[position] === 1 && changed[position] === 0 && (id === null || known.has(id));
    if (isUnchanged) {
      marks[position] = 1;
      count++;
    } else if (id !== null) map.set(position, noId);
  }
  return { base, map, marks, count };
}

function diskOf({ disks }: Snapshot, base: BaseClone, { source }: SourceDisk): SnapshotDisk | undefined {
  return disks.find(
    ({ fingerprint, sizeBytes }) => isBaseOf(base, fingerprint) && sizeBytes === source.sizeBytes,
  );
}

function changesSince(base: ImageSource, { source, extents }: SourceDisk): Iterable<Extent> {
  const layout = probeImage(base);
  return changedExtents(
    { used: extents, places: () => placedExtents(source) },
    { used: () => usedExtents(base, layout, { everyBlock: false }), places: () => placedExtents(base) },
  );
}
