import { readSync } from 'node:fs';
import { chunkLength, frameLimitBytes } from '../chunk/chunk-grid.ts';
import { chunkId, isAllZero } from '../chunk/chunk-id.ts';
import { rowsOf } from '../chunk/chunk-list.ts';
import { Failure } from '../failure.ts';
import { errorMessage } from '../system/error-code.ts';
import type { CompareJob, ReadBackJob, ReadBackResult } from './jobs.ts';
import type { Scratch } from './scratch.ts';

/**
 * Reads chunks, and returns those that do not match their ids. An unreadable chunk is a Failure
 * `verification-failed` when reading back; when comparing, it counts as different.
 */
export function readBack(job: ReadBackJob | CompareJob, scratch: Scratch): ReadBackResult {
  const { fd, grid, chunks } = job;
  const { chunkBytes } = grid;
  const mismatches: number[] = [];
  let plainBytes = 0;
  for (const run of adjacentRuns(rowsOf(chunks), frameLimitBytes(grid) / chunkBytes)) {
    const offset = run[0].position * chunkBytes;
    const buffer = scratch.plain.take(run.length * chunkBytes);
    const neededBytes = Math.min(buffer.length, grid.imageBytes - offset);
    const count = readAtLeast(fd, buffer, neededBytes, offset, job.kind === 'compare');
    for (const [index, { position, id }] of run.entries()) {
      const start = index * chunkBytes;
      const length = chunkLength(grid, position);
      const isWhole = start + length <= count;
      if (!isWhole || !holdsChunk(buffer.subarray(start, start + length), id)) mismatches.push(position);
      plainBytes += length;
    }
  }
  return { plainBytes, mismatches };
}

/** Whether the bytes are the chunk with this id. An id of zeros stands for an empty chunk. */
function holdsChunk(plain: Uint8Array, id: Uint8Array): boolean {
  if (isAllZero(id)) return isAllZero(plain);
  return Buffer.compare(chunkId(plain), id) === 0;
}

interface Row {
  position: number;
  id: Uint8Array;
}

function* adjacentRuns(rows: Iterable<Row>, mostChunks: number): Iterable<[Row, ...Row[]]> {
  let run: [Row, ...Row[]] | null = null;
  for (const row of rows) {
    if (run !== null && run.length < mostChunks && run[0].position + run.length === row.position)
      run.push(row);
    else {
      if (run !== null) yield run;
      run = [row];
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
