import { frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import type { Extent } from '../extent/extents.ts';

/**
 * One frame to be made: some chunks of an image, and which of their bytes to read. In the frame's
 * buffer the chunks lie one after the other, each in a slot of `chunkBytes`; bytes that are not read are zero.
 */
export interface FramePlan {
  /** Ascending, not necessarily adjacent. */
  positions: number[];
  /** What to read, in ascending order. */
  reads: PlannedRead[];
}

export interface PlannedRead {
  /** Where in the image, bytes. */
  offset: number;
  /** Where in the frame's buffer, bytes. */
  into: number;
  length: number;
}

/**
 * Groups the extents (sorted, disjoint) into frames. Leaves out chunks that no extent touches, and extents beyond the
 * end of the image (whose file has grown). Lazy: memory does not grow with the image.
 */
export function* planFrames(extents: Iterable<Extent>, grid: ChunkGrid): Iterable<FramePlan> {
  const chunksPerFrame = frameLimitBytes(grid) / grid.chunkBytes;
  let plan: FramePlan = { positions: [], reads: [] };
  for (const extent of extents) {
    const end = Math.min(extent.offset + extent.length, grid.imageBytes);
    for (let offset = extent.offset; offset < end;) {
      const position = Math.floor(offset / grid.chunkBytes);
      if (plan.positions.at(-1) !== position) {
        if (plan.positions.length === chunksPerFrame) {
          yield plan;
          plan = { positions: [], reads: [] };
        }
        plan.positions.push(position);
      }
      const chunkOffset = position * grid.chunkBytes;
      const length = Math.min(end, chunkOffset + grid.chunkBytes) - offset;
      const slot = (plan.positions.length - 1) * grid.chunkBytes;
      addRead(plan.reads, { offset, into: slot + offset - chunkOffset, length });
      offset += length;
    }
  }
  if (plan.positions.length > 0) yield plan;
}

/** Adjacent chunks of one extent become one read. */
function addRead(reads: PlannedRead[], read: PlannedRead): void {
  const last = reads.at(-1);
  const continues =
    last !== undefined && last.offset + last.length === read.offset && last.into + last.length === read.into;
  if (continues) last.length += read.length;
  else reads.push(read);
}
