import type { Zstd } from '../codec/zstd.ts';
import type { GatherJob, GatherResult } from './jobs.ts';
import { framesOfStore } from './placed-frames.ts';
import type { Scratch } from './scratch.ts';

/** Damaged chunks are in the result; nothing is put into the memory for them. */
export async function gatherChunks(
  { from, grid, memory, first }: GatherJob,
  zstd: Zstd,
  scratch: Scratch,
): Promise<GatherResult> {
  const plainMemory = new Uint8Array(memory);
  const damaged: Uint8Array[] = [];
  let plainBytes = 0;
  for (const { chunks, damagedIds } of framesOfStore(from, grid, zstd, scratch)) {
    let frameBytes = 0;
    for (const { plain, positions } of chunks)
      for (const position of positions) {
        plainMemory.set(plain, (position - first) * grid.chunkBytes);
        frameBytes += plain.length;
      }
    damaged.push(...damagedIds);
    plainBytes += frameBytes;
    await scratch.tidyUp(frameBytes);
  }
  return { plainBytes, damagedIds: Buffer.concat(damaged) };
}
