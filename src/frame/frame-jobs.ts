import { readSync, writeSync } from 'node:fs';
import { chunkId, isAllZero } from '../chunk/chunk-id.ts';
import type { Zstd } from '../codec/zstd.ts';
import { Failure } from '../failure.ts';
import { errorCode, errorMessage } from '../system/error-code.ts';
import type {
  ApplyJob,
  ApplyResult,
  CaptureJob,
  CaptureResult,
  FrameChunk,
  ReadBackJob,
  ReadBackResult,
} from './frame.ts';
import type { PlannedRead } from './frame-plan.ts';

/** Part of the language's environment, but not of the type libraries used here. */
declare const WebAssembly: {
  Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
};

/** Runs of zero bytes at least this long are left as holes when an image is written. */
const HOLE_GRAIN_BYTES = 4096;

/** Buffers that a worker uses again for every job. */
export class Scratch {
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

export function captureFrame(job: CaptureJob, zstd: Zstd, scratch: Scratch): CaptureResult {
  const { plan, chunkBytes } = job;
  const buffer = scratch.take(plan.positions.length * chunkBytes);
  let readBytes = 0;
  let filled = 0;
  for (const read of plan.reads) {
    buffer.fill(0, filled, read.into);
    readFully(job.fd, buffer, read);
    filled = read.into + read.length;
    readBytes += read.length;
  }
  buffer.fill(0, filled);

  const chunks: FrameChunk[] = [];
  let plainBytes = 0;
  for (const [slot, position] of plan.positions.entries()) {
    const length = Math.min(chunkBytes, job.imageBytes - position * chunkBytes);
    const start = slot * chunkBytes;
    const plain = buffer.subarray(start, start + length);
    if (isAllZero(plain)) continue;
    chunks.push({ position, id: chunkId(plain), length });
    if (start !== plainBytes) buffer.copyWithin(plainBytes, start, start + length);
    plainBytes += length;
  }
  if (chunks.length === 0) return { frame: null, readBytes };
  // Into memory of its own, which can be handed to another thread; a codec's buffer cannot.
  const compressed = new Uint8Array(zstd.compress(buffer.subarray(0, plainBytes), job.level));
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
        `the image cannot be read at byte ${offset + done}: ${errorMessage(error)}`,
        {
          advice: 'The disk below it may be failing: see the kernel log (dmesg).',
          cause: error,
        },
      );
    }
    if (count === 0)
      throw new Failure('read-failed', `the image ends at byte ${offset + done}, earlier than before`);
    done += count;
  }
}

export function applyFrame(job: ApplyJob, zstd: Zstd): ApplyResult {
  const { chunks, compressed } = job.frame;
  const plainBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const plain = zstd.decompress(compressed, plainBytes);
  let start = 0;
  for (const { position, id, length } of chunks) {
    const chunk = plain.subarray(start, start + length);
    if (Buffer.compare(chunkId(chunk), id) !== 0) {
      throw new Failure(
        'pack-damaged',
        `the chunk at byte ${position * job.chunkBytes} does not match its SHA-256`,
      );
    }
    writeSparsely(job.fd, chunk, position * job.chunkBytes);
    start += length;
  }
  return { plainBytes };
}

/** Writes the bytes into a file that reads as zero there, leaving out what is zero anyway. */
function writeSparsely(fd: number, bytes: Uint8Array, offset: number): void {
  let from = 0;
  for (let grain = 0; grain < bytes.length; grain += HOLE_GRAIN_BYTES) {
    if (!isAllZero(bytes.subarray(grain, grain + HOLE_GRAIN_BYTES))) continue;
    writeFully(fd, bytes.subarray(from, grain), offset + from);
    from = Math.min(grain + HOLE_GRAIN_BYTES, bytes.length);
  }
  writeFully(fd, bytes.subarray(from), offset + from);
}

function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
    } catch (error) {
      const isFull = errorCode(error) === 'ENOSPC' || errorCode(error) === 'EDQUOT';
      throw new Failure(
        isFull ? 'target-full' : 'write-failed',
        `the image cannot be written: ${errorMessage(error)}`,
        {
          ...(isFull ? { advice: 'Make room on the new hardware, or choose another directory there.' } : {}),
          cause: error,
        },
      );
    }
  }
}

export function readBack(job: ReadBackJob, scratch: Scratch): ReadBackResult {
  const mismatches: number[] = [];
  let plainBytes = 0;
  for (const run of adjacentRuns(job.chunks)) {
    const buffer = scratch.take(run.length * job.chunkBytes);
    const runBytes = run.reduce((sum, { length }) => sum + length, 0);
    const count = readAtLeast(job.fd, buffer, runBytes, run[0].position * job.chunkBytes);
    for (const [index, { position, id, length }] of run.entries()) {
      const start = index * job.chunkBytes;
      const isWhole = start + length <= count;
      const matches = isWhole && Buffer.compare(chunkId(buffer.subarray(start, start + length)), id) === 0;
      if (!matches) mismatches.push(position);
      plainBytes += length;
    }
  }
  return { plainBytes, mismatches };
}

function* adjacentRuns(chunks: readonly FrameChunk[]): Iterable<[FrameChunk, ...FrameChunk[]]> {
  let run: [FrameChunk, ...FrameChunk[]] | null = null;
  for (const chunk of chunks) {
    if (run !== null && run[0].position + run.length === chunk.position) run.push(chunk);
    else {
      if (run !== null) yield run;
      run = [chunk];
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
      throw new Failure('verification-failed', `the new image cannot be read back: ${errorMessage(error)}`, {
        cause: error,
      });
    }
    if (count === 0) break;
    done += count;
  }
  return done;
}
