import { chunkLength, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { chunkListOf } from '../chunk/chunk-list.ts';
import { sealFor } from '../seal/seal-for.ts';
import type { Zstd } from '../codec/zstd.ts';
import type { Scratch } from './frame-jobs.ts';
import type { ClearJob, ClearResult, RestoreJob, RestoreResult, WantedChunk } from './jobs.ts';
import { isChunk, openFrame } from './open-frame.ts';
import { clearRange, writeSparsely, type WrittenFile } from './sparse-write.ts';

/** Throws Failure `target-full` or `write-failed`; what is damaged is answered. */
export async function restoreFrames(
  { fd, directFd, grid, targetReadsAsZero, sealKey, frames }: RestoreJob,
  zstd: Zstd,
  scratch: Scratch,
): Promise<RestoreResult> {
  const seal = sealFor(sealKey);
  const file: WrittenFile = { fd, directFd, zeros: targetReadsAsZero ? 'left-out' : 'made-holes' };
  const written: { position: number; id: Uint8Array }[] = [];
  const damaged: Uint8Array[] = [];
  let plainBytes = 0;
  for (const frame of frames) {
    const plains = openFrame(frame, seal, zstd, scratch);
    const good: GoodChunk[] = [];
    for (const [index, chunk] of frame.chunks.entries()) {
      if (chunk.positions.length === 0) continue;
      const plain = plains?.[index];
      const isGood = plain !== undefined && isChunk(chunk, plain) && fits(chunk, grid);
      if (isGood) good.push({ plain, positions: chunk.positions });
      else damaged.push(chunk.id);
      if (isGood) for (const position of chunk.positions) written.push({ position, id: chunk.id });
    }
    let frameBytes = 0;
    for (const { bytes, offset } of runsOf(good, grid)) {
      writeSparsely(file, bytes, offset);
      frameBytes += bytes.length;
    }
    plainBytes += frameBytes;
    await scratch.tidyUp(frameBytes);
  }
  written.sort((first, second) => first.position - second.position);
  return { chunks: chunkListOf(written), plainBytes, damagedIds: Buffer.concat(damaged) };
}

/** A chunk map that wants a chunk where one of another length belongs is none. */
function fits({ length, positions }: WantedChunk, grid: ChunkGrid): boolean {
  return positions.every((position) => position < grid.chunkCount && chunkLength(grid, position) === length);
}

interface GoodChunk {
  plain: Uint8Array;
  positions: readonly number[];
}

/** What to write where: chunks that lie side by side both in the frame and in the image are one run. */
function* runsOf(
  chunks: readonly GoodChunk[],
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
  for (let row = 0; row < positions.length;) {
    const first = positions[row] ?? 0;
    let end = first + 1;
    for (row++; positions[row] === end; row++) end++;
    const offset = first * grid.chunkBytes;
    const length = Math.min(end * grid.chunkBytes, grid.imageBytes) - offset;
    clearRange(fd, offset, length);
    plainBytes += length;
  }
  return { plainBytes };
}
