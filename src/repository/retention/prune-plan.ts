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
  /** What an index says about it; null if no index names it. */
  content: IndexedPack | null;
}

/** How much of a pack is needed. */
export interface PackUse {
  /** Plain bytes of all its chunks, and of the chunks that are taken from it. */
  plainBytes: number;
  usedBytes: number;
}

const NOBODY = -1;

/** Assigns each needed chunk to one pack, although several may have it. */
export class ChunkCover {
  readonly #live: LiveChunks;
  /** By chunk number: the number of the pack that it is taken from. */
  readonly #giverOf: Int32Array;
  readonly #packs: PlannedPack[] = [];
  readonly #uses = new Map<string, PackUse>();
  #uncoveredCount: number;

  constructor(live: LiveChunks) {
    this.#live = live;
    this.#giverOf = new Int32Array(live.count).fill(NOBODY);
    this.#uncoveredCount = live.count;
  }

  /** How many needed chunks are in none of the packs. */
  get uncoveredCount(): number {
    return this.#uncoveredCount;
  }

  /** Assigns chunks to these packs, the better packs first, unless an earlier pack has them. */
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

  /** Whether the other packs have all needed chunks of this pack. */
  canDoWithout({ content }: PlannedPack): boolean {
    // A pack that no index names may contain the missing chunks.
    if (content === null) return this.#uncoveredCount === 0;
    for (const { id } of chunksOf(content)) {
      const number = this.#live.numberOf(id);
      if (number !== -1 && this.#giverOf[number] === NOBODY) return false;
    }
    return true;
  }
}

/** Sound packs first, then larger ones, then older ones. */
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
  /** Packs that no chunk is taken from: to be moved to the trash. */
  unneeded: PlannedPack[];
  /** Packs to be rewritten without their unneeded chunks; the most wasteful first. */
  toRewrite: PlannedPack[];
  /** Stored bytes of the needed packs, and the unneeded part of them, before rewriting. */
  neededBytes: number;
  wastedBytes: number;
}

/**
 * Decides which of the packs in their place to remove or rewrite.
 * @param olderThanMs by the server's clock; younger packs are left alone, because a running backup may rely on them
 * @param maxWaste a share of the stored bytes; packs are rewritten until the waste is below it
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
