import { createHash, type Hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { chunkLength, frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import type { Failure } from '../failure.ts';
import type { ImageTarget } from '../image/target/image-target.ts';
import { zeroPieces } from '../archive/write-archive.ts';
import type { ImageApply } from './image-apply.ts';
import { SpareMemory } from './spare-memory.ts';

/** Bytes of a disk, at their place. Ascending; what is between them is zero. */
export type PlacedBytes = AsyncIterable<{ offset: number; bytes: Uint8Array }>;

/** Runs that are written at the same time, at most, and the memory that they may take. */
const MOST_RUNS = 6;
const RUNS_BYTES = 32 * 2 ** 20;
/** Zeros that are hashed before anything else gets a turn. */
const ZEROS_AT_ONCE = 64;

export interface ImportedDisk {
  /** Of the disk. */
  sizeBytes: number;
  /** Hexadecimal, of all bytes of the disk; null unless it was asked for. */
  sha256: string | null;
}

/**
 * Writes the bytes of a disk to a target. On a target that held something before, every byte up to the end of the disk
 * is written or cleared.
 */
export class DiskImport {
  readonly #target: ImageTarget;
  readonly #apply: ImageApply;
  readonly #grid: ChunkGrid;
  readonly #runBytes: number;
  readonly #mostRuns: number;
  readonly #signal: AbortSignal;
  readonly #spare: SpareMemory;
  readonly #hash: Hash | null;
  readonly #inWork = new Set<Promise<void>>();
  #failure: { error: unknown } | null = null;
  /** The run that is being filled: where it begins, and how far it is filled. */
  #memory: SharedArrayBuffer | null = null;
  #start = 0;
  #filledBytes = 0;
  /** How far the disk is hashed. */
  #position = 0;

  /** @param hashes whether the SHA-256 of the whole disk is wanted: it takes as long as everything else */
  constructor(
    target: ImageTarget,
    apply: ImageApply,
    grid: ChunkGrid,
    { signal, hashes }: { signal: AbortSignal; hashes: boolean },
  ) {
    this.#signal = signal;
    this.#hash = hashes ? createHash('sha256') : null;
    this.#target = target;
    this.#apply = apply;
    this.#grid = grid;
    this.#runBytes = frameLimitBytes(grid);
    this.#mostRuns = Math.max(1, Math.min(MOST_RUNS, Math.floor(RUNS_BYTES / this.#runBytes)));
    this.#spare = new SpareMemory(this.#runBytes);
  }

  /**
   * Writes all of it. Throws what `ImageApply.write` throws.
   * @param sizeBytes the size of the disk; null: it ends with its last byte
   */
  async write(data: PlacedBytes, sizeBytes: number | null): Promise<ImportedDisk> {
    try {
      for await (const { offset, bytes } of data) {
        if (this.#failure !== null) throw this.#failure.error;
        await this.#zerosUntil(offset);
        this.#hash?.update(bytes);
        await this.#fill(bytes);
      }
      await this.#zerosUntil(sizeBytes ?? this.#position);
      await this.#submit(true);
      await this.#allWritten(0);
    } finally {
      await Promise.allSettled(this.#inWork);
    }
    return { sizeBytes: this.#position, sha256: this.#hash?.digest('hex') ?? null };
  }

  async #zerosUntil(end: number): Promise<void> {
    if (end <= this.#position) return;
    await this.#hashZeros(end - this.#position);
    if (this.#target.isEmpty) {
      // The run that a gap begins in ends with zeros; runs inside the gap are not written.
      const next = Math.floor(end / this.#runBytes) * this.#runBytes;
      if (next > this.#start) {
        await this.#submit(false);
        this.#start = next;
      }
      this.#zeroFill(end);
      this.#position = end;
      return;
    }
    for (const gap of zeroPieces(end - this.#position)) {
      await this.#fill(gap);
      this.#signal.throwIfAborted();
    }
  }

  async #hashZeros(length: number): Promise<void> {
    if (this.#hash === null) return;
    let pieces = 0;
    for (const gap of zeroPieces(length)) {
      this.#hash.update(gap);
      if (++pieces % ZEROS_AT_ONCE > 0) continue;
      await setImmediate();
      this.#signal.throwIfAborted();
    }
  }

  /** Zeros in the run that is being filled. */
  #zeroFill(end: number): void {
    if (end <= this.#start + this.#filledBytes) return;
    const memory = (this.#memory ??= this.#spare.take());
    new Uint8Array(memory).fill(0, this.#filledBytes, end - this.#start);
    this.#filledBytes = end - this.#start;
  }

  async #fill(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const memory = (this.#memory ??= this.#spare.take());
      const part = bytes.subarray(done, done + this.#runBytes - this.#filledBytes);
      new Uint8Array(memory).set(part, this.#filledBytes);
      this.#filledBytes += part.length;
      this.#position += part.length;
      done += part.length;
      if (this.#filledBytes < this.#runBytes) continue;
      const next = this.#start + this.#runBytes;
      await this.#submit(false);
      this.#start = next;
    }
  }

  /** Has the run written, filled up to whole chunks. */
  async #submit(isLast: boolean): Promise<void> {
    const memory = this.#memory;
    if (memory === null || this.#filledBytes === 0) return;
    const first = this.#start / this.#grid.chunkBytes;
    const chunks = Math.ceil(this.#filledBytes / this.#grid.chunkBytes);
    const lastLength = chunkLength(this.#grid, first + chunks - 1);
    const plainBytes = (chunks - 1) * this.#grid.chunkBytes + lastLength;
    const tail = new Uint8Array(memory, 0, plainBytes).subarray(this.#filledBytes);
    if (isLast && !this.#target.isEmpty) this.#target.readInto(tail, this.#start + this.#filledBytes);
    else tail.fill(0);
    this.#memory = null;
    this.#filledBytes = 0;
    await this.#allWritten(this.#mostRuns - 1);
    const work = this.#apply
      .write({ memory, first, plainBytes, withEmpty: !this.#target.isEmpty })
      .then(() => this.#spare.giveBack(memory))
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => void this.#inWork.delete(work));
    this.#inWork.add(work);
  }

  /** Waits until at most this many runs are being written. Throws the first error of writing. */
  async #allWritten(most: number): Promise<void> {
    while (this.#inWork.size > most) await Promise.race(this.#inWork);
    if (this.#failure !== null) throw this.#failure.error;
  }
}

/** Refuses more bytes than the disk may have. Throws the failure. */
export async function* bounded(data: PlacedBytes, mostBytes: number, failure: () => Failure): PlacedBytes {
  for await (const piece of data) {
    if (piece.offset + piece.bytes.length > mostBytes) throw failure();
    yield piece;
  }
}
