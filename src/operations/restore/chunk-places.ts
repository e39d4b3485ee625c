import { isFrameSize, LARGEST_CHUNK_BYTES } from '../../chunk/chunk-grid.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { ChunkIndex } from '../../repository/chunk-index.ts';
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
  #hasIndexedOthers = false;

  constructor(index: ChunkIndex, packs: PackReader) {
    this.#index = index;
    this.#packs = packs;
  }

  /** The chunk is not to be taken from there again. */
  noteDamage({ frame, id }: DamagedChunk): void {
    this.#damaged.add(`${frame} ${id}`);
  }

  async plan(map: ChunkMap, positions: readonly number[], signal: AbortSignal): Promise<FetchPlan> {
    const isUsable = (frame: number, id: Uint8Array) =>
      this.#isSound(frame) && !this.#damaged.has(`${frame} ${hexOf(id)}`);
    const plan = planFetch(this.#index, map, positions, isUsable);
    if (plan.missing.length === 0 || this.#hasIndexedOthers) return plan;
    this.#hasIndexedOthers = true;
    const hasMore = await this.#packs.indexOthers(this.#index, signal);
    return hasMore ? planFetch(this.#index, map, positions, isUsable) : plan;
  }

  /** Whether there can be such a frame: what an index says is not believed before memory is taken for it. */
  #isSound(frame: number): boolean {
    const { sizeBytes, chunks } = this.#index.frame(frame);
    if (sizeBytes <= SMALL_FRAME_BYTES) return true;
    const plainBytes = chunks.lengths.reduce((sum, length) => sum + length, 0);
    return (
      isFrameSize(chunks.lengths.length, plainBytes) &&
      plainBytes <= LARGEST_CHUNK_BYTES &&
      sizeBytes <= 2 * plainBytes + SMALL_FRAME_BYTES
    );
  }
}
