import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { ChunkIndex } from '../../repository/chunk-index/chunk-index.ts';
import { isPlausibleFrame } from '../../repository/chunk-index/plausible-pack.ts';
import { hexOf, type DamagedChunk } from './fetch-frames.ts';
import { planFetch, type FetchPlan } from './fetch-plan.ts';
import type { PackReader } from './pack-reader.ts';

/** A frame up to this size is read even if its entry in the index is not plausible. */
const SMALL_FRAME_BYTES = 64 * 1024;

/** Finds chunks in the store: first by the index, then by the packs' own tables. */
export class ChunkPlaces {
  readonly #index: ChunkIndex;
  readonly #packs: PackReader;
  /** `FRAME ID` for each chunk that turned out to be damaged in that frame. */
  readonly #damaged = new Set<string>();
  /** Packs that do not match the index. */
  readonly #suspects = new Set<string>();
  #hasIndexedOthers = false;

  constructor(index: ChunkIndex, packs: PackReader) {
    this.#index = index;
    this.#packs = packs;
  }

  /** Never reads the chunk from that frame again. */
  noteDamage({ frame, id }: DamagedChunk): void {
    this.#damaged.add(`${frame} ${id}`);
    this.#suspects.add(this.#index.frame(frame).packId);
  }

  async plan(map: ChunkMap, positions: readonly number[], signal: AbortSignal): Promise<FetchPlan> {
    const isUsable = (frame: number, id: Uint8Array) =>
      this.#isSound(frame) && !this.#damaged.has(`${frame} ${hexOf(id)}`);
    for (;;) {
      const plan = planFetch(this.#index, map, positions, isUsable);
      if (plan.missing.length === 0 || !(await this.#lookFurther(signal))) return plan;
    }
  }

  /**
   * Reads the packs' own tables: first of packs that no index names, then of packs that an index describes
   * wrongly, last of all packs, because an index may leave out chunks. A chunk counts as lost only after all
   * this. Each pack is read once. Returns false if there is nothing new.
   */
  async #lookFurther(signal: AbortSignal): Promise<boolean> {
    if (!this.#hasIndexedOthers) {
      this.#hasIndexedOthers = true;
      if (await this.#packs.indexOthers(this.#index, signal)) return true;
    }
    if (await this.#packs.indexAgain(this.#index, this.#suspects, signal)) return true;
    const all = new Set(this.#index.packs.map(({ id }) => id));
    return this.#packs.indexAgain(this.#index, all, signal);
  }

  /** Whether such a frame is possible. A wrong index must not make vmferry allocate much memory. */
  #isSound(number: number): boolean {
    const frame = this.#index.frame(number);
    const isSound = frame.sizeBytes <= SMALL_FRAME_BYTES || isPlausibleFrame(frame);
    if (!isSound) this.#suspects.add(frame.packId);
    return isSound;
  }
}
