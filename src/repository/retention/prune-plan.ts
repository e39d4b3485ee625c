import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';
import type { IndexedPack } from '../chunk-index/chunk-index.ts';
import type { LiveChunks } from '../chunk-index/live-chunks.ts';

/** A pack as a prune sees it. */
export interface PlannedPack {
  id: string;
  sizeBytes: number;
  /** By the server's clock. */
  modifiedMs: number;
  isDamaged: boolean;
  /** What an index says of it; null where none does. */
  content: IndexedPack | null;
}

/** How much of a pack is needed. */
export interface PackUse {
  /** Plain bytes of all its chunks, and of those that are taken from it. */
  plainBytes: number;
  usedBytes: number;
}

const NOBODY = -1;

/** From which pack each chunk that is needed is taken: from one only, although several may have it. */
export class ChunkCover {
  readonly #live: LiveChunks;
  /** By the chunk's number: the number of the pack. */
  readonly #giverOf: Int32Array;
  readonly #packs: PlannedPack[] = [];
  readonly #uses = new Map<string, PackUse>();
  #uncoveredCount: number;

  constructor(live: LiveChunks) {
    this.#live = live;
    this.#giverOf = new Int32Array(live.count).fill(NOBODY);
    this.#uncoveredCount = live.count;
  }

  /** Chunks that are in none of the packs. */
  get uncoveredCount(): number {
    return this.#uncoveredCount;
  }

  /** Takes from these packs, the better ones first, what was in none before. */
  add(packs: Iterable<PlannedPack>): void {
    for (const pack of [...packs].toSorted(byWorth)) {
      const giver = this.#packs.push(pack) - 1;
      const use = { plainBytes: 0, usedBytes: 0 };
      for (const { id, length } of chunksOf(pack.content)) {
        use.plainBytes += length;
        const number = this.#live.numberOf(id);
        if (number === -1 || this.#giverOf[number] !== NOBODY) continue;
        this.#giverOf[number] = giver;
        this.#uncoveredCount--;
        use.usedBytes += length;
      }
      this.#uses.set(pack.id, use);
    }
  }

  /** Null for a pack that was not added. */
  useOf(packId: string): PackUse | null {
    return this.#uses.get(packId) ?? null;
  }

  /** Whether this pack gives the chunk. */
  isTakenFrom(packId: string, chunkId: Uint8Array): boolean {
    const number = this.#live.numberOf(chunkId);
    const giver = number === -1 ? NOBODY : (this.#giverOf[number] ?? NOBODY);
    return giver !== NOBODY && this.#packs[giver]?.id === packId;
  }

  /** Whether all is found elsewhere that the pack has of what is needed. */
  canDoWithout({ content }: PlannedPack): boolean {
    // What is in a pack that no index names is not known: it may be just what is missing.
    if (content === null) return this.#uncoveredCount === 0;
    for (const { id } of chunksOf(content)) {
      const number = this.#live.numberOf(id);
      if (number !== -1 && this.#giverOf[number] === NOBODY) return false;
    }
    return true;
  }
}

/** Sound ones first, then the larger, then the older. */
function byWorth(one: PlannedPack, other: PlannedPack): number {
  return (
    Number(one.isDamaged) - Number(other.isDamaged) ||
    other.sizeBytes - one.sizeBytes ||
    one.modifiedMs - other.modifiedMs ||
    (one.id < other.id ? -1 : 1)
  );
}

function* chunksOf(content: IndexedPack | null): Iterable<{ id: Uint8Array; length: number }> {
  for (const { chunks } of content?.frames ?? [])
    for (const [row, length] of chunks.lengths.entries())
      yield { id: chunks.ids.subarray(row * CHUNK_ID_BYTES, (row + 1) * CHUNK_ID_BYTES), length };
}

export interface PackPlan {
  /** Nothing is taken from them: to the trash. */
  unneeded: PlannedPack[];
  /** Those that are to be written anew without what is dead in them, the worst first. */
  toRewrite: PlannedPack[];
  /** Stored bytes of the packs that are needed, and what of them nobody needs; before rewriting. */
  neededBytes: number;
  wastedBytes: number;
}

/**
 * What becomes of the packs in their place. Packs that are younger than `olderThanMs` (a time of the server) are left alone: a
 * backup that runs now may rely on them.
 * @param maxWaste a share of the stored bytes: as many packs are written anew as bring the waste below it
 */
export function planPacks(
  packs: Iterable<PlannedPack>,
  cover: ChunkCover,
  { olderThanMs, maxWaste }: { olderThanMs: number; maxWaste: number },
): PackPlan {
  const plan: PackPlan = { unneeded: [], toRewrite: [], neededBytes: 0, wastedBytes: 0 };
  const worn: { pack: PlannedPack; wastedBytes: number }[] = [];
  for (const pack of packs) {
    const { usedBytes, plainBytes } = cover.useOf(pack.id) ?? { usedBytes: 0, plainBytes: 0 };
    const isOld = pack.modifiedMs <= olderThanMs;
    if (usedBytes === 0) {
      if (isOld && cover.canDoWithout(pack)) plan.unneeded.push(pack);
      continue;
    }
    const wastedBytes = pack.sizeBytes * (1 - usedBytes / plainBytes);
    plan.neededBytes += pack.sizeBytes;
    plan.wastedBytes += wastedBytes;
    if (isOld && !pack.isDamaged && wastedBytes > 0) worn.push({ pack, wastedBytes });
  }
  let { neededBytes, wastedBytes } = plan;
  const wasteShare = (one: { pack: PlannedPack; wastedBytes: number }) =>
    one.wastedBytes / one.pack.sizeBytes;
  for (const { pack, wastedBytes: saved } of worn.toSorted((a, b) => wasteShare(b) - wasteShare(a))) {
    if (wastedBytes <= maxWaste * neededBytes) break;
    plan.toRewrite.push(pack);
    wastedBytes -= saved;
    neededBytes -= saved;
  }
  return plan;
}
