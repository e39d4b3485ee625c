import { readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { packLimitBytes } from '../pack/pack.ts';
import { readPack } from '../pack/read-pack.ts';
import { chunkLength, frameLimitBytes } from '../chunk/chunk-grid.ts';
import { chunkId, isAllZero } from '../chunk/chunk-id.ts';
import { chunkListOf, rowsOf } from '../chunk/chunk-list.ts';
import type { Zstd } from '../codec/zstd.ts';
import { Failure } from '../failure.ts';
import { tidyUpAfterFrames } from '../system/garbage.ts';
import { errorMessage } from '../system/error-code.ts';
import type { FrameChunk } from '../pack/frame.ts';
import { readPackFile } from './pack-file.ts';
import { writeFrame } from './sparse-write.ts';
import type { ApplyJob, ApplyResult, CompareJob, ReadBackJob, ReadBackResult } from './jobs.ts';

/** Part of the language's environment, but not of the type libraries used here. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
};

/** Memory that a worker uses again for every job. */
export class Scratch {
  readonly plain = new ReusedBuffer();
  readonly compressed = new ReusedBuffer();
  readonly pack = new ReusedBuffer();

  /** After a frame of `plainBytes` bytes: frees what it left behind, part of it in a turn of the event loop. */
  async tidyUp(plainBytes: number): Promise<void> {
    tidyUpAfterFrames(plainBytes);
    await setImmediate();
  }
}

class ReusedBuffer {
  #buffer = Buffer.alloc(0);

  /**
   * At least `sizeBytes` bytes of any content, at an address that O_DIRECT accepts: WebAssembly memory begins at a
   * page, which no Buffer of Node's does.
   */
  take(sizeBytes: number): Buffer {
    if (this.#buffer.length < sizeBytes) {
      const pages = Math.ceil(sizeBytes / 65536);
      this.#buffer = Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer);
    }
    return this.#buffer.subarray(0, sizeBytes);
  }
}

/** Throws Failure `pack-damaged`, `target-full` or `write-failed`; the chunks' ids are compared when they are read back. */
export async function applyPack(
  { fd, directFd, grid, packId, packPath }: ApplyJob,
  zstd: Zstd,
  scratch: Scratch,
): Promise<ApplyResult> {
  const pack = readPackFile(packPath, packLimitBytes(grid), (sizeBytes) => scratch.pack.take(sizeBytes));
  const written: FrameChunk[] = [];
  let plainBytes = 0;
  for await (const { chunks, compressed } of readPack(packId, [pack], grid)) {
    const frameBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const plain = zstd.decompress(compressed, frameBytes, scratch.plain.take(frameBytes));
    writeFrame({ fd, directFd, zeros: 'left-out' }, grid, chunks, plain);
    written.push(...chunks);
    plainBytes += frameBytes;
    await scratch.tidyUp(frameBytes);
  }
  return { chunks: chunkListOf(written), plainBytes };
}

/**
 * Reads chunks and tells those that are not what their ids say. Throws Failure `verification-failed` when one that was
 * written cannot be read; one to compare with is as good as another then.
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

/** Whether this is the chunk of that id. Zeros instead of an id stand for an empty chunk. */
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
 * Asks for the whole buffer, although the image may end in it: O_DIRECT wants whole blocks. It stops once it has what
 * is needed: to go on from the end of an image may be to go on inside a block, which O_DIRECT may refuse.
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
