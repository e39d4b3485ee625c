import { readSync } from 'node:fs';
import { chunkLength, frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { chunkId, isAllZero, noChunkId } from '../chunk/chunk-id.ts';
import { chunkListOf, rowAt } from '../chunk/chunk-list.ts';
import { Failure } from '../failure.ts';
import { errorMessage } from '../system/error-code.ts';
import type { CompareJob, IdentifyJob, IdentifyResult, ReadBackJob, ReadBackResult } from './jobs.ts';
import type { Scratch } from './scratch.ts';

/**
 * Reads chunks, and returns those that do not match their ids. An unreadable chunk is a Failure
 * `verification-failed` when reading back; when comparing, it counts as different.
 */
export function readBack(job: ReadBackJob | CompareJob, scratch: Scratch): ReadBackResult {
  const mismatches: number[] = [];
  let plainBytes = 0;
  for (const [row, plain] of readChunks(job, job.chunks.positions, job.kind === 'compare', scratch)) {
    const { position, id } = rowAt(job.chunks, row);
    if (plain === null || !holdsChunk(plain, id)) mismatches.push(position);
    plainBytes += chunkLength(job.grid, position);
  }
  return { plainBytes, mismatches };
}

/** Reads chunks, and returns their ids. Leaves out those that cannot be read, or lie beyond the end of the file. */
export function identify(job: IdentifyJob, scratch: Scratch): IdentifyResult {
  const found: { position: number; id: Uint8Array }[] = [];
  let plainBytes = 0;
  for (const [row, plain] of readChunks(job, job.positions, true, scratch)) {
    if (plain === null) continue;
    const id = isAllZero(plain) ? noChunkId : chunkId(plain);
    found.push({ position: job.positions[row] ?? 0, id });
    plainBytes += plain.length;
  }
  return { chunks: chunkListOf(found), plainBytes };
}

/**
 * The bytes of each chunk, with its row in the list; null for one that could not be read as a whole. They are valid until the next one.
 * @param positions ascending
 */
function* readChunks(
  { fd, grid }: { fd: number; grid: ChunkGrid },
  positions: Uint32Array,
  maySkip: boolean,
  scratch: Scratch,
): Iterable<[row: number, plain: Uint8Array | null]> {
  const { chunkBytes } = grid;
  for (const { row, first, count } of adjacentRuns(positions, frameLimitBytes(grid) / chunkBytes)) {
    const offset = first * chunkBytes;
    const buffer = scratch.plain.take(count * chunkBytes);
    const neededBytes = Math.min(buffer.length, grid.imageBytes - offset);
    const readBytes = readAtLeast(fd, buffer, neededBytes, offset, maySkip);
    for (let index = 0; index < count; index++) {
      const start = index * chunkBytes;
      const end = start + chunkLength(grid, first + index);
      yield [row + index, end <= readBytes ? buffer.subarray(start, end) : null];
    }
  }
}

/** Whether the bytes are the chunk with this id. An id of zeros stands for an empty chunk. */
function holdsChunk(plain: Uint8Array, id: Uint8Array): boolean {
  if (isAllZero(id)) return isAllZero(plain);
  return Buffer.compare(chunkId(plain), id) === 0;
}

interface Run {
  /** Of its first chunk. */
  row: number;
  /** The position of its first chunk. */
  first: number;
  count: number;
}

function* adjacentRuns(positions: Uint32Array, mostChunks: number): Iterable<Run> {
  let run: Run | null = null;
  for (const [row, position] of positions.entries()) {
    if (run !== null && run.count < mostChunks && run.first + run.count === position) run.count++;
    else {
      if (run !== null) yield run;
      run = { row, first: position, count: 1 };
    }
  }
  if (run !== null) yield run;
}

/**
 * Asks for the whole buffer even if the image ends within it, because O_DIRECT needs whole blocks. Stops when it has the
 * needed bytes: another read would begin at the image's end, which may be inside a block, and O_DIRECT may refuse that.
 */
function readAtLeast(
  fd: number,
  buffer: Buffer,
  neededBytes: number,
  offset: number,
  maySkip: boolean,
): number {
  let done = 0;
  while (done < neededBytes) {
    let count: number;
    try {
      count = readSync(fd, buffer, done, buffer.length - done, offset + done);
    } catch (error) {
      if (maySkip) break;
      throw new Failure('verification-failed', `The new image cannot be read back: ${errorMessage(error)}.`, {
        cause: error,
      });
    }
    if (count === 0) break;
    done += count;
  }
  return done;
}
