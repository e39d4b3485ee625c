import { chunkLength, type ChunkGrid } from '../../chunk/chunk-grid.ts';
import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';
import { extentsOfChunks, touchedChunks } from '../../chunk/chunk-marks.ts';
import { ChunkMap } from '../../chunk/chunk-map.ts';
import type { SealKey } from '../../seal/seal.ts';
import { Failure } from '../../failure.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { Extent } from '../../extent/extents.ts';
import type { ImageTarget } from '../../image/target/image-target.ts';
import type { SnapshotDisk } from '../../repository/snapshot.ts';
import { plainBytesOf } from './byte-ranges.ts';
import { ReadBackQueue } from '../../transfer/read-back-queue.ts';
import type { ChunkPlaces } from './chunk-places.ts';
import { compareTarget } from './compare-target.ts';
import { fetchFrames } from './fetch-frames.ts';
import type { FetchPlan } from './fetch-plan.ts';
import type { PackReader } from './pack-reader.ts';
import type { StoredMap } from './snapshot-map.ts';

/** Chunks made empty by one job. */
const CLEARED_AT_ONCE = 1024;
const noId = new Uint8Array(CHUNK_ID_BYTES);

export interface DiskRestoreOptions {
  places: ChunkPlaces;
  packs: PackReader;
  pool: FramePool;
  sealKey: SealKey;
  signal: AbortSignal;
}

/** Called with plain bytes that are done since the last call. */
type OnDone = (plainBytes: number) => void;

/** One disk on its way back: `survey`, `write`, `verify`, in this order. */
export class DiskRestore {
  readonly disk: SnapshotDisk;
  readonly target: ImageTarget;
  /** Plain bytes that the target held already as they should be. */
  unchangedBytes = 0;
  /** Bytes of the target that were written, or made empty. */
  writtenBytes = 0;
  readFromStoreBytes = 0;
  /** Plain bytes that were read back while others were written. */
  readBackBytes = 0;
  /** What the target is to hold; what is missing is taken out of it. */
  readonly #map: ChunkMap;
  readonly #grid: ChunkGrid;
  readonly #options: DiskRestoreOptions;
  /** What was found on the target's disk. */
  readonly #found: ChunkMap;
  /** For each position 1 where the target was found right, of empty chunks too. */
  readonly #isRight: Uint8Array;
  readonly #missing: Set<number>;
  #clear: number[] = [];
  #plan: FetchPlan = { requests: [], missing: [] };

  constructor(
    disk: SnapshotDisk,
    { map, lost }: StoredMap,
    target: ImageTarget,
    options: DiskRestoreOptions,
  ) {
    this.disk = disk;
    this.target = target;
    this.#map = map;
    this.#grid = map.grid;
    this.#found = new ChunkMap(map.grid);
    this.#isRight = new Uint8Array(map.grid.chunkCount);
    this.#missing = new Set(lost);
    this.#options = options;
  }

  /** The ranges that the store has lost, as far as that is known by now. */
  get missingRanges(): Extent[] {
    return [...extentsOfChunks([...this.#missing].sort(ascending), this.#grid)];
  }

  /** Plain bytes of all chunks that are not empty. */
  get plainBytes(): number {
    return plainBytesOf(this.#map);
  }

  /** Finds out what is there already, and what has to come from where in the store. Changes nothing. */
  async survey(onDone: OnDone): Promise<void> {
    const { pool, places, signal } = this.#options;
    const touched = this.#touchedChunks();
    const toCompare = this.#positions((position) => touched[position] === 1);
    for await (const { right } of compareTarget(this.target, this.#map, toCompare, 'compare', pool)) {
      signal.throwIfAborted();
      const unchangedBytes = this.#setRight(right);
      this.unchangedBytes += unchangedBytes;
      onDone(unchangedBytes);
    }
    const wanted: number[] = [];
    for (const position of this.#positions((at) => this.#isRight[at] === 0)) {
      if (this.#map.get(position) !== null) wanted.push(position);
      else if (touched[position] === 1) this.#clear.push(position);
    }
    this.#plan = await places.plan(this.#map, wanted, signal);
    for (const position of this.#plan.missing) this.#missing.add(position);
  }

  /** Writes what differs. What turns out to be missing is left out: `missingRanges` tells it then. */
  async write(onDone: OnDone): Promise<void> {
    const { packs, places, pool, sealKey, signal } = this.#options;
    const readBefore = packs.readBytes;
    const options = { target: this.target, grid: this.#grid, packs, pool, sealKey, signal };
    await this.#makeEmpty(this.#clear);
    const readBack = new ReadBackQueue<Uint32Array>((written) => this.#readBack(written));
    for (let plan = this.#plan; ;) {
      await this.#giveUp(plan.missing);
      const again: number[] = [];
      for await (const { plainBytes, positions, damaged } of fetchFrames(plan.requests, options)) {
        signal.throwIfAborted();
        readBack.push(positions);
        this.writtenBytes += plainBytes;
        onDone(plainBytes);
        for (const chunk of damaged) {
          places.noteDamage(chunk);
          again.push(...chunk.positions);
        }
      }
      if (again.length === 0) break;
      // From another place, if there is one.
      plan = await places.plan(this.#map, again.sort(ascending), signal);
    }
    await readBack.settled();
    this.readFromStoreBytes = packs.readBytes - readBefore;
  }

  /** While more is written: the line and the disk need not wait for each other. */
  async #readBack(written: readonly Uint32Array[]): Promise<void> {
    await this.target.sync();
    const positions = written.flatMap((some) => [...some]).sort(ascending);
    await this.#prove(positions, (bytes) => (this.readBackBytes += bytes));
  }

  /** Makes all of it durable; answers with the plain bytes that `verify` has to read. */
  async sync(): Promise<number> {
    await this.target.sync();
    return this.#lengthOf(this.#unproven());
  }

  /**
   * Reads back from the disk what was not found right before, and answers with the fingerprint of all of it. Throws
   * Failure `verification-failed`.
   */
  async verify(onDone: OnDone): Promise<string> {
    await this.#prove(this.#unproven(), onDone);
    const fingerprint = this.#found.fingerprint();
    if (this.#missing.size === 0 && fingerprint !== this.disk.fingerprint) throw this.#mismatch('');
    return fingerprint;
  }

  /** Throws Failure `verification-failed` for the first that is not on the disk what the map says. */
  async #prove(positions: Iterable<number>, onDone: OnDone): Promise<void> {
    const { pool, signal } = this.#options;
    const results = compareTarget(this.target, this.#map, positions, 'read-back', pool);
    for await (const { right, wrong, plainBytes } of results) {
      signal.throwIfAborted();
      const [first] = wrong;
      if (first !== undefined) throw this.#mismatch(` at byte ${first * this.#grid.chunkBytes}`);
      this.#setRight(right);
      onDone(plainBytes);
    }
  }

  *#positions(isWanted: (position: number) => boolean): Iterable<number> {
    for (let position = 0; position < this.#grid.chunkCount; position++)
      if (isWanted(position)) yield position;
  }

  #lengthOf(positions: Iterable<number>): number {
    let bytes = 0;
    for (const position of positions) bytes += chunkLength(this.#grid, position);
    return bytes;
  }

  #touchedChunks(): Uint8Array {
    return touchedChunks(this.target.dataExtents(), this.#grid);
  }

  /** What was not found right yet; of what should be empty, that alone which is no hole. */
  #unproven(): Iterable<number> {
    const touched = this.#touchedChunks();
    return this.#positions(
      (position) =>
        this.#isRight[position] === 0 && (touched[position] === 1 || this.#map.get(position) !== null),
    );
  }

  /** Answers with the plain bytes of those that are not empty. */
  #setRight(positions: readonly number[]): number {
    let bytes = 0;
    for (const position of positions) {
      this.#isRight[position] = 1;
      const id = this.#map.get(position);
      if (id === null) continue;
      this.#found.set(position, id);
      bytes += chunkLength(this.#grid, position);
    }
    return bytes;
  }

  /** These are to be empty. */
  async #giveUp(positions: readonly number[]): Promise<void> {
    for (const position of positions) {
      this.#missing.add(position);
      this.#map.set(position, noId);
    }
    if (!this.target.isEmpty) await this.#makeEmpty(positions);
  }

  async #makeEmpty(positions: readonly number[]): Promise<void> {
    const { pool, signal } = this.#options;
    for (let first = 0; first < positions.length; first += CLEARED_AT_ONCE) {
      signal.throwIfAborted();
      const some = Uint32Array.from(positions.slice(first, first + CLEARED_AT_ONCE));
      const job = { kind: 'clear', fd: this.target.fd, grid: this.#grid, positions: some } as const;
      this.writtenBytes += (await pool.run(job)).plainBytes;
    }
  }

  #mismatch(where: string): Failure {
    return new Failure(
      'verification-failed',
      `${this.target.workingPath} does not read back as it was written${where}.`,
      { advice: 'The disk or the memory of this machine may be failing: see the kernel log (dmesg).' },
    );
  }
}

function ascending(first: number, second: number): number {
  return first - second;
}
