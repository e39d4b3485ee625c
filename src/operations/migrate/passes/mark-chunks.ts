import { noChunkId } from '../../../chunk/chunk-id.ts';
import { chunkListOf } from '../../../chunk/chunk-list.ts';
import type { ChunkMap } from '../../../chunk/chunk-map.ts';
import { touchedChunks } from '../../../chunk/chunk-marks.ts';
import type { Extent } from '../../../extent/extents.ts';
import { changedExtents, type ComparedImage } from '../../../image/clones/changed-extents.ts';
import { placedExtents } from '../../../image/clones/placed-extents.ts';
import type { ImageSource } from '../../../image/source/image-source.ts';
import { chooseSample, SAMPLE_CHUNKS } from '../../../transfer/choose-sample.ts';
import type { ApplyPool } from '../../../transfer/compare-chunks.ts';
import { drop, leave, look } from '../../../transfer/differing-chunks.ts';

/** For each chunk: 1 if its bytes in the two images may differ. Holes count as bytes. */
export function changedChunks(now: ImageSource, before: ImageSource, { grid }: ChunkMap): Uint8Array {
  return touchedChunks(changedExtents(whole(now), whole(before)), grid);
}

function whole(image: ImageSource): ComparedImage {
  return { used: () => image.dataExtents(), places: () => placedExtents(image) };
}

/**
 * Reads some of the chunks that count as unchanged and are not empty. False when one of them is not what the new hardware has.
 * @param changed 0 for each such chunk
 */
export async function areUnchanged(
  changed: Uint8Array,
  { fd }: ImageSource,
  there: ChunkMap,
  pool: ApplyPool,
): Promise<boolean> {
  const unchanged = changed.map((mark, position) => (mark === 0 && there.get(position) !== null ? 1 : 0));
  const sample = chooseSample(unchanged, SAMPLE_CHUNKS, Math.random);
  const chunks = [...sample].map((position) => ({ position, id: there.get(position) ?? noChunkId }));
  const job = { kind: 'compare', fd, grid: there.grid, chunks: chunkListOf(chunks) } as const;
  return (await pool.run(job)).mismatches.length === 0;
}

/** @param changed null: any chunk may have changed */
export function marksOfPass(changed: Uint8Array | null, { grid }: ChunkMap): Uint8Array {
  return changed === null
    ? new Uint8Array(grid.chunkCount).fill(look)
    : changed.map((mark) => (mark === 1 ? look : leave));
}

/**
 * The marks of a pass over an image that no longer changes: a chunk without a byte in use becomes empty.
 * @param changed null: any chunk may have changed
 */
export function marksOfLastPass(
  used: Iterable<Extent>,
  changed: Uint8Array | null,
  { grid }: ChunkMap,
): Uint8Array {
  const inUse = touchedChunks(used, grid);
  return inUse.map((isUsed, position) => {
    if (isUsed === 0) return drop;
    return changed === null || changed[position] === 1 ? look : leave;
  });
}
