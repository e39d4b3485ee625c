import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { ChunkIndex } from '../../repository/chunk-index/chunk-index.ts';
import { isPlausibleFrame } from '../../repository/chunk-index/plausible-pack.ts';
import { hexOf, type DamagedChunk } from './fetch-frames.ts';
import { planFetch, type FetchPlan } from './fetch-plan.ts';
import type { PackReader } from './pack-reader.ts';

/** A frame of no more bytes is read whatever it is said to hold. */
const SMALL_FRAME_BYTES = 64 * 1024;

/** Where in the store chunks can be had: first where the index says, then wherever else. */
export class ChunkPlaces {
  readonly #index: ChunkIndex;
  readonly #packs: PackReader;
  /** A frame's number and a chunk's id, for those that the frame turned out not to give. */
  readonly #damaged = new Set<string>();
  /** Packs that do not give what the index says of them. */
  readonly #suspects = new Set<string>();
  #hasIndexedOthers = false;

  constructor(index: ChunkIndex, packs: PackReader) {
    this.#index = index;
    this.#packs = packs;
  }

  /** The chunk is not to be taken from there again. */
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
   * Reads in packs themselves what they hold: first in those that no index names, then in those of which an index says what does not
   * seem to be so, and last in all of them: an index can leave out a chunk without saying anything that is wrong. A chunk is called lost
   * only after that. Each pack is read once. False when this gives nothing new.
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

  /** Whether there can be such a frame: what an index says is not believed before memory is taken for it. */
  #isSound(number: number): boolean {
    const frame = this.#index.frame(number);
    const isSound = frame.sizeBytes <= SMALL_FRAME_BYTES || isPlausibleFrame(frame);
    if (!isSound) this.#suspects.add(frame.packId);
    return isSound;
  }
}
