import { extentsOfChunks } from '../../chunk/chunk-marks.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { Extent } from '../../extent/extents.ts';
import { Failure } from '../../failure.ts';
import type { ImageTarget } from '../../image/target/image-target.ts';
import type { SnapshotDisk } from '../../repository/snapshot.ts';
import type { SealKey } from '../../seal/seal.ts';
import { ImageApply, type OnDone } from '../../transfer/image-apply.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import { plainBytesOf } from './byte-ranges.ts';
import type { ChunkPlaces } from './chunk-places.ts';
import { fetchFrames } from './fetch-frames.ts';
import type { FetchPlan } from './fetch-plan.ts';
import type { PackReader } from './pack-reader.ts';
import type { StoredMap } from './snapshot-map.ts';

export interface DiskRestoreOptions {
  places: ChunkPlaces;
  packs: PackReader;
  pool: FramePool;
  sealKey: SealKey;
  signal: AbortSignal;
}

/** Restores one disk: `survey`, `write`, `sync`, `verify`, in this order. Dispose of it before the target. */
export class DiskRestore implements AsyncDisposable {
  readonly disk: SnapshotDisk;
  readonly target: ImageTarget;
  readFromStoreBytes = 0;
  /** Plain bytes that were read back while others were written. */
  readBackBytes = 0;
  /** The wanted content of the target, without what is missing. */
  readonly #map: ChunkMap;
  readonly #apply: ImageApply;
  readonly #options: DiskRestoreOptions;
  readonly #missing: Set<number>;
  #notEmpty: number[] = [];
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
    this.#missing = new Set(lost);
    this.#options = options;
    const { pool, signal } = options;
    const onReadBack = (bytes: number) => (this.readBackBytes += bytes);
    this.#apply = new ImageApply(target, map, { pool, signal, onReadBack });
  }

  /** The ranges that the store is known to have lost so far. */
  get missingRanges(): Extent[] {
    return [...extentsOfChunks([...this.#missing].sort(ascending), this.#map.grid)];
  }

  /** Plain bytes of all chunks that are not empty. */
  get plainBytes(): number {
    return plainBytesOf(this.#map);
  }

  /** Plain bytes that the target had already. */
  get unchangedBytes(): number {
    return this.#apply.unchangedBytes;
  }

  /** Bytes of the target that were written or cleared. */
  get writtenBytes(): number {
    return this.#apply.writtenBytes;
  }

  /** Finds out what the target has already, and where in the store the rest is. Changes nothing. */
  async survey(onDone: OnDone): Promise<void> {
    const { places, signal } = this.#options;
    const { wanted, notEmpty } = await this.#apply.survey(onDone);
    this.#notEmpty = notEmpty;
    this.#plan = await places.plan(this.#map, wanted, signal);
    for (const position of this.#plan.missing) this.#missing.add(position);
  }

  /** Writes what differs. What is missing is not written, and then is in `missingRanges`. */
  async write(onDone: OnDone): Promise<void> {
    const { packs, places, signal } = this.#options;
    const readBefore = packs.readBytes;
    await this.#apply.clear(this.#notEmpty);
    for (let plan = this.#plan; ;) {
      await this.#giveUp(plan.missing);
      const again: number[] = [];
      for await (const { plainBytes, damaged } of fetchFrames(plan.requests, this.#apply, this.#options)) {
        signal.throwIfAborted();
        onDone(plainBytes);
        for (const chunk of damaged) {
          places.noteDamage(chunk);
          again.push(...chunk.positions);
        }
      }
      if (again.length === 0) break;
      // Plans another place for each, if there is one.
      plan = await places.plan(this.#map, again.sort(ascending), signal);
    }
    await this.#apply.settled();
    this.readFromStoreBytes = packs.readBytes - readBefore;
  }

  /** Makes everything durable. Returns how many plain bytes `verify` has to read. */
  async sync(): Promise<number> {
    return this.#apply.sync();
  }

  /**
   * Reads back from the disk what was not verified before. Returns the fingerprint of the whole disk. Throws
   * Failure `verification-failed`.
   */
  async verify(onDone: OnDone): Promise<string> {
    const fingerprint = await this.#apply.verify(onDone);
    if (this.#missing.size === 0 && fingerprint !== this.disk.fingerprint)
      throw new Failure(
        'verification-failed',
        `${this.target.workingPath} is complete, but its fingerprint differs from that in the snapshot.`,
        { advice: 'The memory of this machine may be failing: see the kernel log (dmesg).' },
      );
    return fingerprint;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#apply[Symbol.asyncDispose]();
  }

  /** The store has lost these chunks: they become empty. */
  async #giveUp(positions: readonly number[]): Promise<void> {
    for (const position of positions) this.#missing.add(position);
    await this.#apply.clear(positions);
  }
}

function ascending(first: number, second: number): number {
  return first - second;
}
