import { readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { readPack } from '../archive/pack.ts';
import { chunkLength, frameLimitBytes } from '../chunk/chunk-grid.ts';
import { chunkId, isAllZero } from '../chunk/chunk-id.ts';
import { chunkListOf, rowsOf } from '../chunk/chunk-list.ts';
import type { Zstd } from '../codec/zstd.ts';
import { Failure } from '../failure.ts';
import { collectYoungGarbage } from '../system/memory.ts';
import { errorMessage } from '../system/error-code.ts';
import type { Frame, FrameChunk } from './frame.ts';
import type { PlannedRead } from './frame-plan.ts';
import { writeFrame } from './sparse-write.ts';
import type { ApplyJob, ApplyResult, CaptureJob, ReadBackJob, ReadBackResult } from './jobs.ts';

/** Part of the language's environment, but not of the type libraries used here. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
};

/** Unpacked bytes that frames may leave behind before their garbage is collected. */
const BYTES_BETWEEN_COLLECTIONS = 2 * 2 ** 20;

/** Memory that a worker uses again for every job. */
export class Scratch {
  readonly plain = new ReusedBuffer();
  readonly compressed = new ReusedBuffer();
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

/**
 * A frame as planned; null when all of its chunks turn out to be empty. Its bytes may lie in the scratch memory: they
 * last until the next job.
 */
export function captureFrame(
  { fd, grid, level, plan }: Pick<CaptureJob, 'fd' | 'grid' | 'level' | 'plan'>,
  zstd: Zstd,
  scratch: Scratch,
): { frame: Frame | null; readBytes: number } {
  const { chunkBytes } = grid;
  const buffer = scratch.plain.take(plan.positions.length * chunkBytes);
  let readBytes = 0;
  let filled = 0;
  for (const read of plan.reads) {
    buffer.fill(0, filled, read.into);
    readFully(fd, buffer, read);
    filled = read.into + read.length;
    readBytes += read.length;
  }
  buffer.fill(0, filled);

  const chunks: FrameChunk[] = [];
  let plainBytes = 0;
  for (const [slot, position] of plan.positions.entries()) {
    const length = chunkLength(grid, position);
    const start = slot * chunkBytes;
    const plain = buffer.subarray(start, start + length);
    if (isAllZero(plain)) continue;
    chunks.push({ position, id: chunkId(plain), length });
    if (start !== plainBytes) buffer.copyWithin(plainBytes, start, start + length);
    plainBytes += length;
  }
  if (chunks.length === 0) return { frame: null, readBytes };
  const room = scratch.compressed.take(2 * plainBytes);
  const compressed = zstd.compress(buffer.subarray(0, plainBytes), level, room);
  return { frame: { chunks, compressed }, readBytes };
}

function readFully(fd: number, buffer: Buffer, { offset, into, length }: PlannedRead): void {
  for (let done = 0; done < length;) {
    let count: number;
    try {
      count = readSync(fd, buffer, into + done, length - done, offset + done);
    } catch (error) {
      throw new Failure(
        'read-failed',
        `The image cannot be read at byte ${offset + done}: ${errorMessage(error)}.`,
        {
          advice: 'The disk below it may be failing: see the kernel log (dmesg).',
          cause: error,
        },
      );
    }
    if (count === 0)
      throw new Failure('read-failed', `The image ends at byte ${offset + done}, earlier than before.`);
    done += count;
  }
}

/** Throws Failure `pack-damaged`, `target-full` or `write-failed`; the chunks' ids are compared when they are read back. */
export async function applyPack(
  { fd, directFd, grid, packId, packParts }: ApplyJob,
  zstd: Zstd,
  scratch: Scratch,
): Promise<ApplyResult> {
  const written: FrameChunk[] = [];
  let plainBytes = 0;
  let uncollectedBytes = 0;
  for await (const { chunks, compressed } of readPack(packId, packParts, grid)) {
    const frameBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const plain = zstd.decompress(compressed, frameBytes, scratch.plain.take(frameBytes));
    writeFrame({ fd, directFd }, grid, chunks, plain);
    written.push(...chunks);
    plainBytes += frameBytes;
    uncollectedBytes += frameBytes;
    if (uncollectedBytes >= BYTES_BETWEEN_COLLECTIONS) {
      collectYoungGarbage();
      uncollectedBytes = 0;
    }
    await setImmediate();
  }
  return { chunks: chunkListOf(written), plainBytes };
}

export function readBack({ fd, grid, chunks }: ReadBackJob, scratch: Scratch): ReadBackResult {
  const { chunkBytes } = grid;
  const mismatches: number[] = [];
  let plainBytes = 0;
  for (const run of adjacentRuns(rowsOf(chunks), frameLimitBytes(grid) / chunkBytes)) {
    const offset = run[0].position * chunkBytes;
    const buffer = scratch.plain.take(run.length * chunkBytes);
    const count = readAtLeast(fd, buffer, Math.min(buffer.length, grid.imageBytes - offset), offset);
    for (const [index, { position, id }] of run.entries()) {
      const start = index * chunkBytes;
      const length = chunkLength(grid, position);
      const isWhole = start + length <= count;
      const matches = isWhole && Buffer.compare(chunkId(buffer.subarray(start, start + length)), id) === 0;
      if (!matches) mismatches.push(position);
      plainBytes += length;
    }
  }
  return { plainBytes, mismatches };
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
function readAtLeast(fd: number, buffer: Buffer, neededBytes: number, offset: number): number {
  let done = 0;
  while (done < neededBytes) {
    let count: number;
    try {
      count = readSync(fd, buffer, done, buffer.length - done, offset + done);
    } catch (error) {
      throw new Failure('verification-failed', `The new image cannot be read back: ${errorMessage(error)}.`, {
        cause: error,
      });
    }
    if (count === 0) break;
    done += count;
  }
  return done;
}
