import { readSync } from 'node:fs';
import { OpenPack, type Pack } from '../pack/pack.ts';
import type { PackMemory } from '../pack/pack-memory.ts';
import { chunkLength } from '../chunk/chunk-grid.ts';
import { chunkId, isAllZero } from '../chunk/chunk-id.ts';
import { chunkListOf } from '../chunk/chunk-list.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import { KnownChunks } from '../chunk/known-chunks.ts';
import { sealFor } from '../seal/seal-for.ts';
import type { Zstd } from '../codec/zstd.ts';
import { Failure } from '../failure.ts';
import { errorMessage } from '../system/error-code.ts';
import { FrameGathering, type PlainFrame } from '../pack/frame-gathering.ts';
import type { FrameChunk } from '../pack/frame.ts';
import type { Scratch } from './scratch.ts';
import type { PlannedRead } from './frame-plan.ts';
import type { CaptureJob, CaptureResult, SampleJob, SampleResult } from './jobs.ts';

/** The result of a worker that takes no part in a capture. */
export const nothingCaptured: CaptureResult = {
  chunks: chunkListOf([]),
  readBytes: 0,
  newBytes: 0,
  pack: null,
};

/** A worker's part in the capture of one image: its open pack, and the chunks that wait for a frame. */
export class OpenCapture {
  readonly #pack: OpenPack;
  readonly #gathering: FrameGathering;
  readonly #known: KnownChunks | null;
  readonly #there: ChunkMap | null;
  readonly #elsewhere: KnownChunks | null;
  readonly #zstd: Zstd;
  readonly #scratch: Scratch;
  #level: number;

  constructor(
    { known, there, elsewhere, grid, sealKey, level, packNaming, packLimitBytes }: CaptureJob,
    zstd: Zstd,
    scratch: Scratch,
    packMemory: PackMemory,
  ) {
    this.#pack = new OpenPack(sealFor(sealKey), packMemory, packNaming, packLimitBytes);
    this.#gathering = new FrameGathering();
    this.#known = known === null ? null : KnownChunks.over(known);
    this.#there = there === null ? null : new ChunkMap(grid, there);
    this.#elsewhere = elsewhere === null ? null : KnownChunks.over(elsewhere);
    this.#zstd = zstd;
    this.#scratch = scratch;
    this.#level = level;
  }

  async capture(job: CaptureJob): Promise<CaptureResult> {
    this.#level = job.level;
    const { all, fresh, plain, readBytes } = readChunks(job, this.#scratch, (position, id) => {
      if (this.#known?.add(id) === false || this.#there?.holds(position, id) === true) return false;
      return this.#elsewhere?.has(id) !== true;
    });
    this.#compress(this.#gathering.add(fresh, plain));
    const pack = this.#pack.isFull ? await this.#pack.close() : null;
    return { chunks: chunkListOf(all), readBytes, newBytes: plain.length, pack };
  }

  async flush(): Promise<CaptureResult> {
    this.#compress(this.#gathering.flush());
    const pack: Pack | null = this.#pack.isEmpty ? null : await this.#pack.close();
    return { ...nothingCaptured, pack };
  }

  #compress(frames: Iterable<PlainFrame>): void {
    for (const { chunks, plain } of frames) {
      const room = this.#scratch.compressed.take(2 * plain.length);
      this.#pack.add({ chunks, compressed: this.#zstd.compress(plain, this.#level, room) });
    }
  }
}

export function sampleFrame(job: SampleJob, zstd: Zstd, scratch: Scratch): SampleResult {
  const { plain, readBytes } = readChunks(job, scratch, () => true);
  if (plain.length === 0) return { readBytes, compressedBytes: 0 };
  const room = scratch.compressed.take(2 * plain.length);
  return { readBytes, compressedBytes: zstd.compress(plain, job.level, room).length };
}

interface ReadChunks {
  /** The chunks that are not empty. */
  all: FrameChunk[];
  /** The chunks that the other side does not have. */
  fresh: FrameChunk[];
  /** The bytes of `fresh`, one after the other, in the scratch memory: valid until the next job. */
  plain: Uint8Array;
  readBytes: number;
}

/** Reads the planned bytes, and hashes their chunks. */
function readChunks(
  { fd, grid, plan }: Pick<CaptureJob, 'fd' | 'grid' | 'plan'>,
  scratch: Scratch,
  isFresh: (position: number, id: Uint8Array) => boolean,
): ReadChunks {
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

  const all: FrameChunk[] = [];
  const fresh: FrameChunk[] = [];
  let plainBytes = 0;
  for (const [slot, position] of plan.positions.entries()) {
    const length = chunkLength(grid, position);
    const start = slot * chunkBytes;
    const plain = buffer.subarray(start, start + length);
    if (isAllZero(plain)) continue;
    const chunk = { position, id: chunkId(plain), length };
    all.push(chunk);
    if (!isFresh(position, chunk.id)) continue;
    fresh.push(chunk);
    if (start !== plainBytes) buffer.copyWithin(plainBytes, start, start + length);
    plainBytes += length;
  }
  return { all, fresh, plain: buffer.subarray(0, plainBytes), readBytes };
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
