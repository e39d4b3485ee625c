import { chunkLength, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { noChunkId } from '../chunk/chunk-id.ts';
import { rowsOf, type ChunkList } from '../chunk/chunk-list.ts';
import type { ChunkMap } from '../chunk/chunk-map.ts';
import { touchedChunks } from '../chunk/chunk-marks.ts';
import { Failure } from '../failure.ts';
import type { ImageTarget } from '../image/target/image-target.ts';
import { command, placed } from '../placed-text.ts';
import type { ApplyResult, PackFile, PlainRun, TakenChunks, WantedFrames } from '../workers/jobs.ts';
import { compareChunks, identifyChunks, type ApplyPool } from './compare-chunks.ts';
import { ReadBackQueue } from './read-back-queue.ts';

/** Chunks made empty by one job. */
const CLEARED_AT_ONCE = 1024;

/** What is known of a chunk on the target's disk. */
const unknown = 0;
const written = 1;
const right = 2;
/** Right, and from an earlier pass or process: it may be written once more. */
const kept = 3;

/** Called with the plain bytes that were done since the last call. */
export type OnDone = (plainBytes: number) => void;

export interface ApplyOptions {
  pool: ApplyPool;
  signal: AbortSignal;
  /** Called with the plain bytes that `write` wrote and that were read back unchanged. */
  onReadBack: OnDone;
}

/** Positions whose chunks on the target differ from the map, ascending. */
export interface Differences {
  /** These have to be written. */
  wanted: number[];
  /** These have to be cleared. */
  notEmpty: number[];
}

/**
 * Makes a target hold what a chunk map says. While more is written, what was written is read back from the disk and
 * compared with its id. Within a pass no chunk is written twice, so what was read back stays on the disk.
 *
 * In this order: `survey` or `identify`, if the target may hold some chunks already; `clear` and `write`, which may run at the same
 * time; `settled`; `sync`, if anything was cleared; `verify`. Without a survey `clearRest` comes before `verify`.
 * There may be several passes of `clear` and `write`, each but the last ended by `endPass`. Dispose of it before the target.
 */
export class ImageApply implements AsyncDisposable {
  readonly target: ImageTarget;
  /** Plain bytes that the target held already. */
  unchangedBytes = 0;
  /** Bytes of the target that were written or cleared. */
  writtenBytes = 0;
  readonly #map: ChunkMap;
  readonly #grid: ChunkGrid;
  readonly #pool: ApplyPool;
  readonly #signal: AbortSignal;
  /** For each position of the grid: `unknown`, `written` or `right`. */
  readonly #known: Uint8Array;
  readonly #readBack: ReadBackQueue;
  /** Whether the target reads as zero wherever nothing was written in this pass. */
  #isBlank: boolean;
  /** Whether something was cleared that is not synced. */
  #hasCleared = false;

  /** @param map what the target is to hold; packs add their chunks to it */
  constructor(target: ImageTarget, map: ChunkMap, { pool, signal, onReadBack }: ApplyOptions) {
    this.target = target;
    this.#map = map;
    this.#grid = map.grid;
    this.#pool = pool;
    this.#signal = signal;
    this.#known = new Uint8Array(map.grid.chunkCount);
    this.#isBlank = target.isEmpty;
    this.#readBack = new ReadBackQueue(async (positions) => {
      await target.sync();
      await this.#prove(positions, onReadBack);
    });
  }

  /**
   * Finds out what the target holds, which an earlier process has written. Fills the map with that; packs may replace it. Changes
   * nothing on the disk, and reads from it, not from memory.
   */
  async identify(onFound: (found: ChunkList) => void, onDone: OnDone): Promise<void> {
    await this.target.sync();
    const touched = this.#touchedChunks();
    const positions = this.#positions((position) => touched[position] === 1);
    for await (const { chunks, plainBytes } of identifyChunks(
      this.target,
      this.#grid,
      positions,
      this.#pool,
    )) {
      this.#signal.throwIfAborted();
      for (const { position, id } of rowsOf(chunks)) {
        this.#map.set(position, id);
        this.#known[position] = kept;
      }
      onFound(chunks);
      onDone(plainBytes);
    }
  }

  /** Compares what the target holds with the map. Changes nothing. */
  async survey(onDone: OnDone): Promise<Differences> {
    const touched = this.#touchedChunks();
    const toCompare = this.#positions((position) => touched[position] === 1);
    for await (const found of compareChunks(this.target, this.#map, toCompare, 'compare', this.#pool)) {
      this.#signal.throwIfAborted();
      const unchangedBytes = this.#setRight(found.right);
      this.unchangedBytes += unchangedBytes;
      onDone(unchangedBytes);
    }
    const wanted: number[] = [];
    const notEmpty: number[] = [];
    for (const position of this.#positions((at) => this.#known[at] === unknown)) {
      if (this.#map.get(position) !== null) wanted.push(position);
      else if (touched[position] === 1) notEmpty.push(position);
    }
    return { wanted, notEmpty };
  }

  /** Empties these chunks, on the target and in the map. */
  async clear(positions: readonly number[]): Promise<void> {
    for (const position of positions) {
      this.#map.set(position, noChunkId);
      this.#known[position] = unknown;
    }
    if (this.#isBlank) return;
    this.#hasCleared = true;
    for (let first = 0; first < positions.length; first += CLEARED_AT_ONCE) {
      this.#signal.throwIfAborted();
      const some = Uint32Array.from(positions.slice(first, first + CLEARED_AT_ONCE));
      const job = { kind: 'clear', fd: this.target.fd, grid: this.#grid, positions: some } as const;
      this.writtenBytes += (await this.#pool.run(job)).plainBytes;
    }
  }

  /**
   * Writes the chunks of a pack, of a run or of another disk, or the wanted chunks of a store's frames. Throws Failure `pack-damaged`, `target-full`
   * or `write-failed`, and `verification-failed` if what was written before did not read back.
   */
  async write(from: PackFile | WantedFrames | PlainRun | TakenChunks): Promise<ApplyResult> {
    const { target } = this;
    const applied = await this.#pool.run({
      kind: 'apply',
      fd: target.fd,
      directFd: target.directFd,
      grid: this.#grid,
      targetReadsAsZero: this.#isBlank,
      from,
    });
    for (const { position, id } of rowsOf(applied.chunks)) {
      const state = this.#known[position];
      if (state !== unknown && state !== kept)
        throw new Failure('pack-damaged', `The chunk at byte ${this.#offsetOf(position)} was sent twice.`);
      this.#known[position] = written;
      if (state === kept || this.#map.get(position) === null) this.#map.set(position, id);
    }
    this.writtenBytes += applied.plainBytes;
    this.#readBack.push(applied.chunks.positions);
    return applied;
  }

  /**
   * Empties every chunk that nothing was written to, unless it is empty already. Call it after the last `write`, for a target
   * that held something before. Changes the target's chunks, not the map.
   */
  async clearRest(onDone: OnDone): Promise<void> {
    if (this.target.isEmpty) return;
    await this.settled();
    const touched = this.#touchedChunks();
    const rest = this.#positions((position) => this.#known[position] === unknown && touched[position] === 1);
    const notEmpty: number[] = [];
    for await (const found of compareChunks(this.target, this.#map, rest, 'compare', this.#pool)) {
      this.#signal.throwIfAborted();
      this.#setRight(found.right);
      notEmpty.push(...found.wrong);
      onDone(found.plainBytes);
    }
    await this.clear(notEmpty);
    await this.target.sync();
  }

  /**
   * Ends a pass: everything that was written is read back, and the rest of the target is empty. What another pass writes then
   * replaces it.
   */
  async endPass(onCleared: OnDone): Promise<void> {
    await this.settled();
    await this.clearRest(onCleared);
    await this.#proveAll(() => undefined);
    for (const [position, state] of this.#known.entries()) if (state === right) this.#known[position] = kept;
    this.#isBlank = false;
  }

  /** Resolves when all that was written is read back. Throws the error of reading back. */
  async settled(): Promise<void> {
    await this.#readBack.settled();
  }

  /** Makes the target durable. Returns the plain bytes that `verify` has to read. */
  async sync(): Promise<number> {
    await this.target.sync();
    this.#hasCleared = false;
    let bytes = 0;
    for (const position of this.#unproven()) bytes += chunkLength(this.#grid, position);
    return bytes;
  }

  /**
   * Reads all chunks that were not yet found right, and makes sure that the rest of the target is empty. Returns the
   * fingerprint of what is on the disk. Throws Failure `verification-failed`.
   */
  async verify(onDone: OnDone = () => undefined): Promise<string> {
    await this.#proveAll(onDone);
    return this.#map.fingerprint();
  }

  /** Waits for reads that are still under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#readBack.settled().catch(() => undefined);
  }

  async #proveAll(onDone: OnDone): Promise<void> {
    await this.settled();
    if (this.#hasCleared) await this.target.sync();
    this.#hasCleared = false;
    await this.#prove(this.#unproven(), onDone);
  }

  /** Throws Failure `verification-failed` for the first chunk on the disk that differs from the map. */
  async #prove(positions: Iterable<number>, onDone: OnDone): Promise<void> {
    const results = compareChunks(this.target, this.#map, positions, 'read-back', this.#pool);
    for await (const found of results) {
      this.#signal.throwIfAborted();
      const [first] = found.wrong;
      if (first !== undefined)
        throw new Failure(
          'verification-failed',
          `${this.target.workingPath} does not read back as it was written, at byte ${this.#offsetOf(first)}.`,
          {
            advice: placed`The disk or the memory may be failing: see the kernel log (${command('dmesg')}).`,
          },
        );
      this.#setRight(found.right);
      onDone(found.plainBytes);
    }
  }

  /** The positions not yet found right. Holes where the map has no chunk are left out. */
  #unproven(): Iterable<number> {
    const touched = this.#touchedChunks();
    return this.#positions(
      (position) =>
        !this.#isProven(position) && (touched[position] === 1 || this.#map.get(position) !== null),
    );
  }

  #isProven(position: number): boolean {
    return this.#known[position] === right || this.#known[position] === kept;
  }

  #touchedChunks(): Uint8Array {
    return touchedChunks(this.target.dataExtents(), this.#grid);
  }

  /** Marks the chunks as right. Returns the plain bytes of those that are not empty. */
  #setRight(positions: readonly number[]): number {
    let bytes = 0;
    for (const position of positions) {
      this.#known[position] = right;
      if (this.#map.get(position) !== null) bytes += chunkLength(this.#grid, position);
    }
    return bytes;
  }

  *#positions(isMeant: (position: number) => boolean): Iterable<number> {
    for (let position = 0; position < this.#grid.chunkCount; position++)
      if (isMeant(position)) yield position;
  }

  #offsetOf(position: number): number {
    return position * this.#grid.chunkBytes;
  }
}
