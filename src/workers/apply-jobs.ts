import type { ChunkGrid } from '../chunk/chunk-grid.ts';
import { chunkListOf } from '../chunk/chunk-list.ts';
import { extentsOfChunks } from '../chunk/chunk-marks.ts';
import type { Zstd } from '../codec/zstd.ts';
import type { ApplyJob, ApplyResult, ClearJob, ClearResult } from './jobs.ts';
import { placedFrames, type PlacedChunk } from './placed-frames.ts';
import type { Scratch } from './scratch.ts';
import { clearRange, writeSparsely, writeSparselyAside, type WrittenFile } from './sparse-write.ts';

/**
 * A run of plain bytes is written without the scratch memory, and lets the thread do other jobs meanwhile. Throws Failure `target-full` or
 * `write-failed`; for a damaged pack `pack-damaged`. Damaged chunks of single frames are
 * in the result.
 */
export async function applyFrames(
  { fd, directFd, grid, targetReadsAsZero, from }: ApplyJob,
  zstd: Zstd,
  scratch: Scratch,
): Promise<ApplyResult> {
  const file: WrittenFile = { fd, directFd, zeros: targetReadsAsZero ? 'left-out' : 'made-holes' };
  const written: { position: number; id: Uint8Array }[] = [];
  const damaged: Uint8Array[] = [];
  let plainBytes = 0;
  for await (const { chunks, damagedIds } of placedFrames(from, grid, zstd, scratch)) {
    let frameBytes = 0;
    for (const { bytes, offset } of runsOf(chunks, grid)) {
      if ('memory' in from) await writeSparselyAside(file, bytes, offset);
      else writeSparsely(file, bytes, offset);
      frameBytes += bytes.length;
    }
    for (const { id, positions } of chunks) for (const position of positions) written.push({ position, id });
    damaged.push(...damagedIds);
    plainBytes += frameBytes;
    await scratch.tidyUp(frameBytes);
  }
  written.sort((first, second) => first.position - second.position);
  return { chunks: chunkListOf(written), plainBytes, damagedIds: Buffer.concat(damaged) };
}

/** The runs to write, with their offsets. Chunks that are neighbours both in the frame and in the image are one run. */
function* runsOf(
  chunks: readonly PlacedChunk[],
  { chunkBytes }: ChunkGrid,
): Iterable<{ bytes: Uint8Array; offset: number }> {
  const mostPositions = chunks.reduce((most, { positions }) => Math.max(most, positions.length), 0);
  for (let rank = 0; rank < mostPositions; rank++) {
    let run: { bytes: Uint8Array; offset: number } | null = null;
    for (const { plain, positions } of chunks) {
      const position = positions[rank];
      if (position === undefined) continue;
      const offset = position * chunkBytes;
      if (run !== null && run.offset + run.bytes.length === offset && isBehind(plain, run.bytes)) {
        const { buffer, byteOffset, length } = run.bytes;
        run.bytes = new Uint8Array(buffer, byteOffset, length + plain.length);
      } else {
        if (run !== null) yield run;
        run = { bytes: plain, offset };
      }
    }
    if (run !== null) yield run;
  }
}

function isBehind(bytes: Uint8Array, others: Uint8Array): boolean {
  return bytes.buffer === others.buffer && bytes.byteOffset === others.byteOffset + others.length;
}

/** Throws Failure `target-full` or `write-failed`. */
export function clearChunks({ fd, grid, positions }: ClearJob): ClearResult {
  let plainBytes = 0;
  for (const { offset, length } of extentsOfChunks(positions, grid)) {
    clearRange(fd, offset, length);
    plainBytes += length;
  }
  return { plainBytes };
}
