import type { ChunkMap } from '../../chunk/chunk-map.ts';
import { extentsOfChunks } from '../../chunk/chunk-marks.ts';
import type { Extent } from '../../extent/extents.ts';
import { Failure } from '../../failure.ts';
import { SpareMemory } from '../../transfer/spare-memory.ts';
import { missingText, plainBytesOf } from '../restore/byte-ranges.ts';
import type { DiskRestoreOptions } from '../restore/disk-restore.ts';
import { fetchFrames, type WantedFramesSink } from '../restore/fetch-frames.ts';
import type { StoredMap } from '../restore/snapshot-map.ts';

/** What is fetched together: two of these are in memory. A chunk of a very large disk may be larger. */
const WINDOW_BYTES = 16 * 2 ** 20;
const MOST_RANGES_TOLD = 100;

/** A part of the disk, in memory. */
interface Window {
  index: number;
  memory: SharedArrayBuffer;
  filled: Promise<void>;
}

/** A disk of a snapshot, read in ascending order: while one part of it is used, the next one is fetched. */
export class StoredDisk implements AsyncDisposable {
  readonly #name: string;
  readonly #map: ChunkMap;
  readonly #options: DiskRestoreOptions;
  readonly #windowBytes: number;
  readonly #spare: SpareMemory;
  #windows: Window[] = [];

  /** Throws Failure `store-damaged` if the store has lost a part of its chunk map. */
  constructor(name: string, { map, lost }: StoredMap, options: DiskRestoreOptions) {
    this.#name = name;
    this.#map = map;
    this.#options = options;
    this.#windowBytes = Math.max(WINDOW_BYTES, map.grid.chunkBytes);
    this.#spare = new SpareMemory(this.#windowBytes);
    if (lost.length > 0) throw this.#damaged(lost);
  }

  /** Bytes of all chunks that are not empty. */
  get plainBytes(): number {
    return plainBytesOf(this.#map);
  }

  /** Throws Failure `store-damaged` unless the store has all of its chunks, as far as its indexes and tables tell. */
  async requireComplete(): Promise<void> {
    const { places, signal } = this.#options;
    const { missing } = await places.plan(this.#map, [...this.#positions(0, this.#count)], signal);
    if (missing.length > 0) throw this.#damaged(missing);
  }

  extents(): Iterable<Extent> {
    return extentsOfChunks(this.#positions(0, this.#count), this.#map.grid);
  }

  /**
   * These bytes, valid until the next call. Throws Failure `store-damaged`, and what reading a store throws.
   * @param offset never smaller than in the last call
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const index = Math.floor(offset / this.#windowBytes);
    const start = offset - index * this.#windowBytes;
    const memory = await this.#windowAt(index);
    const part = new Uint8Array(memory, start, Math.min(length, this.#windowBytes - start));
    if (part.length === length) return part;
    const first = Uint8Array.from(part);
    return Buffer.concat([first, await this.read(offset + first.length, length - first.length)]);
  }

  async #windowAt(index: number): Promise<SharedArrayBuffer> {
    for (const { memory } of this.#windows.filter((one) => one.index < index)) this.#spare.giveBack(memory);
    this.#windows = this.#windows.filter((one) => one.index >= index);
    const window = this.#windows.find((one) => one.index === index) ?? this.#fetch(index);
    await window.filled;
    const next = this.#nextWindow(index);
    if (next !== null && !this.#windows.some((one) => one.index === next)) this.#fetch(next);
    return window.memory;
  }

  /** The first window behind this one that has a chunk. */
  #nextWindow(index: number): number | null {
    const perWindow = this.#windowBytes / this.#map.grid.chunkBytes;
    for (const position of this.#positions((index + 1) * perWindow, this.#count))
      return Math.floor(position / perWindow);
    return null;
  }

  #fetch(index: number): Window {
    const memory = this.#spare.take();
    const window = { index, memory, filled: this.#fill(index, memory) };
    // Whoever asks for the window gets the error.
    window.filled.catch(() => undefined);
    this.#windows.push(window);
    return window;
  }

  async #fill(index: number, memory: SharedArrayBuffer): Promise<void> {
    const { grid } = this.#map;
    const { places, signal, pool } = this.#options;
    const perWindow = this.#windowBytes / grid.chunkBytes;
    const first = index * perWindow;
    new Uint8Array(memory).fill(0);
    const sink: WantedFramesSink = {
      write: (from) => pool.run({ kind: 'gather', grid, from, memory, first }),
    };
    let wanted = [...this.#positions(first, Math.min(first + perWindow, this.#count))];
    while (wanted.length > 0) {
      // Plans another place for what was damaged, if there is one.
      const plan = await places.plan(this.#map, wanted, signal);
      if (plan.missing.length > 0) throw this.#damaged(plan.missing);
      wanted = [];
      for await (const { damaged } of fetchFrames(plan.requests, sink, this.#options))
        for (const chunk of damaged) {
          places.noteDamage(chunk);
          wanted.push(...chunk.positions);
        }
      wanted.sort((one, other) => one - other);
    }
  }

  get #count(): number {
    return this.#map.grid.chunkCount;
  }

  /** Of chunks that are not empty, from one position to before another. */
  *#positions(from: number, to: number): Iterable<number> {
    for (let position = from; position < to; position++) if (this.#map.get(position) !== null) yield position;
  }

  #damaged(positions: readonly number[]): Failure {
    const { grid } = this.#map;
    const ranges = [...extentsOfChunks(positions, grid)];
    const missing = missingText(this.#name, grid.imageBytes, ranges, MOST_RANGES_TOLD);
    return new Failure('store-damaged', `The store has lost a part of this snapshot: ${missing}.`, {
      advice:
        'Export another snapshot. To get the rest of this one: vmferry restore … --allow-missing. The next backup sends the lost data again.',
    });
  }

  /** Waits for what is being fetched. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#windows.map(({ filled }) => filled));
  }
}
