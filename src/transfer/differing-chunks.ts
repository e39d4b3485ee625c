import type { ChunkGrid } from '../chunk/chunk-grid.ts';
import { noChunkId } from '../chunk/chunk-id.ts';
import { chunkListFrom, type ChunkList } from '../chunk/chunk-list.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import type { KnownChunks } from '../chunk/known-chunks.ts';
import { extentsInChunks } from '../chunk/chunk-marks.ts';
import type { Extent } from '../extent/extents.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import { sendPacks, type Sending } from './send-packs.ts';
import type { PassProgress } from './send-progress.ts';

/** What a pass does with a chunk. */
export const leave = 0;
/** Read it, and send it if it differs from what the other side has. */
export const look = 1;
/** Nothing of it is in use any more: the other side is to empty it, unread. */
export const drop = 2;

/** What one pass over an image does. */
export interface DifferencePass {
  source: ImageSource;
  /** What is read: sorted, disjoint, and only in chunks with the mark `look`. */
  extents: Iterable<Extent>;
  /** `leave`, `look` or `drop` for each position. */
  marks: Uint8Array;
  /** What the other side has, in shared memory. Afterwards: what it has when the pass has been applied there. */
  there: ChunkMap;
  /** The chunks that it has on other disks: they are not sent. Nothing unless given. */
  elsewhere?: KnownChunks | null;
  progress: PassProgress | null;
}

/** What a pass leaves to do. */
export interface Differences {
  /** The positions that the other side has to empty, ascending. */
  emptied: number[];
  /** The chunks that differ and were not sent, because it has them on other disks. `there` does not have them yet. */
  elsewhere: ChunkList;
}

/** All data in the chunks with the mark `look`: also free blocks that share a chunk with blocks in use. */
export function extentsToLookAt(source: ImageSource, marks: Uint8Array, grid: ChunkGrid): Iterable<Extent> {
  return extentsInChunks(source.dataExtents(), grid, (position) => marks[position] === look);
}

/** Sends the chunks that differ from what the other side has. Throws the signal's reason when aborted. */
export async function sendDifferences(
  { source, extents, marks, there, elsewhere, progress }: DifferencePass,
  sending: Sending,
  signal: AbortSignal,
): Promise<Differences> {
  // The workers compare with `there`, which therefore does not change before the end.
  const found = new ChunkMap(there.grid);
  const pass = { source, extents, map: found, there, ...(elsewhere && { elsewhere }), progress };
  await sendPacks(pass, sending, signal);
  const notSent: number[] = [];
  const emptied: number[] = [];
  for (const [position, mark] of marks.entries()) {
    if (mark === leave) continue;
    const id = mark === look ? found.get(position) : null;
    if (id === null && there.get(position) !== null) emptied.push(position);
    if (id !== null && !there.holds(position, id) && elsewhere?.has(id) === true) notSent.push(position);
    else there.set(position, id ?? noChunkId);
  }
  return { emptied, elsewhere: chunkListFrom(found, notSent) };
}
