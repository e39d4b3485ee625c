import { extentsInChunks } from '../chunk/chunk-marks.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import { chunkGridFor } from '../chunk/chunk-grid.ts';
import type { KnownChunks } from '../chunk/known-chunks.ts';
import type { Context } from '../events.ts';
import { totalLength, type Extent } from '../extent/extents.ts';
import { chooseSample, SAMPLE_CHUNKS } from './choose-sample.ts';
import { sendPacks, type Sending } from './send-packs.ts';
import type { SourceDisk } from './source-disk.ts';
import type { UnchangedChunks } from './unchanged-chunks.ts';

/** The part of a disk that is still to be read. */
export interface PlannedPass {
  /** Holds the ids of the chunks that need not be read; the others are filled in later. */
  map: ChunkMap;
  /** Computed anew at each call, lazily. */
  extents: () => Iterable<Extent>;
  /** Bytes of these. */
  restBytes: number;
  /** Bytes that were read for the sample. */
  sampledBytes: number;
}

/** How to find the chunks that have not changed. */
export interface Comparison {
  /** Null when the disk cannot be compared with an earlier capture. */
  find(known: KnownChunks, signal: AbortSignal): Promise<UnchangedChunks | null>;
  /** From 0 to 1, 1 excluded. */
  random: () => number;
}

/**
 * Finds out what has to be read of a disk. Unchanged chunks are left out only after a sample of them was read, sent and
 * found unchanged; otherwise all is read.
 * @param comparison null: all is read
 */
export async function planPass(
  disk: SourceDisk,
  comparison: Comparison | null,
  sending: Sending & { known: KnownChunks },
  context: Context,
): Promise<PlannedPass> {
  if (comparison === null) return wholePass(disk);
  const unchanged = await comparison.find(sending.known, context.signal);
  if (unchanged === null || unchanged.count === 0) return wholePass(disk);
  const { marks, map } = unchanged;
  const sample = chooseSample(marks, SAMPLE_CHUNKS, comparison.random);
  const sampled = () => extentsInChunks(disk.extents(), map.grid, (position) => sample.has(position));
  const read = new ChunkMap(map.grid);
  const pass = { source: disk.source, extents: sampled(), map: read, progress: null };
  await sendPacks(pass, sending, context.signal);
  const isWrong = [...sample].some((position) => !isSameId(map.get(position), read.get(position)));
  if (isWrong) {
    context.report({ type: 'warning', code: 'other', message: unchanged.distrust() });
    return wholePass(disk);
  }
  const extents = () => extentsInChunks(disk.extents(), map.grid, (position) => marks[position] === 0);
  return { map, extents, restBytes: totalLength(extents()), sampledBytes: totalLength(sampled()) };
}

function wholePass(disk: SourceDisk): PlannedPass {
  const map = new ChunkMap(chunkGridFor(disk.source.sizeBytes));
  return { map, extents: disk.extents, restBytes: disk.readBytes, sampledBytes: 0 };
}

function isSameId(first: Uint8Array | null, second: Uint8Array | null): boolean {
  if (first === null || second === null) return first === second;
  return Buffer.compare(first, second) === 0;
}
