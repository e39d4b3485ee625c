import { extentsInChunks } from '../../chunk/chunk-marks.ts';
import { ChunkMap } from '../../chunk/chunk-map.ts';
import { chunkGridFor } from '../../chunk/chunk-grid.ts';
import type { KnownChunks } from '../../chunk/known-chunks.ts';
import type { Context } from '../../events.ts';
import { removeBase } from '../../image/clones/base-clone.ts';
import { totalLength, type Extent } from '../../extent/extents.ts';
import type { SourceDisk } from '../../transfer/source-disk.ts';
import { findUnchanged, type BaseSearch, type UnchangedChunks } from './unchanged-chunks.ts';

/** Chunks that are read although they are said to be unchanged. */
const SAMPLE_CHUNKS = 64;

/** What of a disk is still to be read. */
export interface DiskPass {
  /** To be filled; what need not be read is in it already. */
  map: ChunkMap;
  /** Computed anew at each call, lazily. */
  extents: () => Iterable<Extent>;
  /** Bytes of these. */
  restBytes: number;
  /** Bytes that were read already, to be sure. */
  sampledBytes: number;
}

/** Reads and stores what these extents of the disk hold; fills the map. */
export type StoreExtents = (disk: SourceDisk, extents: Iterable<Extent>, map: ChunkMap) => Promise<void>;

export interface PassOptions {
  known: KnownChunks;
  /** null: all is read. */
  search: BaseSearch | null;
  store: StoreExtents;
  /** From 0 to 1, 1 excluded. */
  random: () => number;
}

/**
 * Finds out what of a disk has to be read. What its base says is taken for true only after a sample of it was reread;
 * else it is removed, and all is read.
 */
export async function planPass(
  disk: SourceDisk,
  { known, search, store, random }: PassOptions,
  context: Context,
): Promise<DiskPass> {
  const grid = chunkGridFor(disk.source.sizeBytes);
  const unchanged = search && (await findUnchanged(disk, known, search, context.signal));
  if (unchanged === null || unchanged.count === 0) return wholePass(disk);
  const { marks, map, base } = unchanged;
  const sample = chooseSample(unchanged, SAMPLE_CHUNKS, random);
  const sampled = () => extentsInChunks(disk.extents(), grid, (position) => sample.has(position));
  const read = new ChunkMap(grid);
  await store(disk, sampled(), read);
  const wrong = [...sample].filter((position) => !isSameId(map.get(position), read.get(position)));
  if (wrong.length > 0) {
    removeBase(base);
    const message = `${disk.name} has changed where its file system says that it has not: the file system is damaged, or somebody meddles with ${base.path}. All of the image is read.`;
    context.report({ type: 'warning', code: 'other', message });
    return wholePass(disk);
  }
  const extents = () => extentsInChunks(disk.extents(), grid, (position) => marks[position] === 0);
  return { map, extents, restBytes: totalLength(extents()), sampledBytes: totalLength(sampled()) };
}

function wholePass(disk: SourceDisk): DiskPass {
  const map = new ChunkMap(chunkGridFor(disk.source.sizeBytes));
  return { map, extents: disk.extents, restBytes: disk.readBytes, sampledBytes: 0 };
}

function isSameId(first: Uint8Array | null, second: Uint8Array | null): boolean {
  if (first === null || second === null) return first === second;
  return Buffer.compare(first, second) === 0;
}

/** Positions of so many of the unchanged chunks, or of all where there are no more; each is as likely as any other. */
function chooseSample(
  { marks, count }: Pick<UnchangedChunks, 'marks' | 'count'>,
  size: number,
  random: () => number,
): Set<number> {
  const ranks = new Set<number>();
  while (ranks.size < Math.min(size, count)) {
    let rank = Math.floor(random() * count);
    while (ranks.has(rank)) rank = (rank + 1) % count;
    ranks.add(rank);
  }
  const positions = new Set<number>();
  let rank = 0;
  for (let position = marks.indexOf(1); position >= 0; position = marks.indexOf(1, position + 1))
    if (ranks.has(rank++)) positions.add(position);
  return positions;
}
