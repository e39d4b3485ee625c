import { OpenPack, type Pack } from '../../pack/pack.ts';
import { readStoredPack } from '../../pack/read-pack.ts';
import { bestZstd } from '../../codec/zstd.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { Frame } from '../../pack/frame.ts';
import type { IndexedPack } from '../../repository/chunk-index/chunk-index.ts';
import type { ChunkCover, PlannedPack } from '../../repository/retention/prune-plan.ts';
import { LiveFrames } from './live-frames.ts';
import type { PruneKnowledge } from './survey.ts';

/** The level that a pack was compressed with is not recorded. Backups use this one on a line of medium speed. */
const LEVEL = 3;
const PACKS_PER_INDEX = 16;

/**
 * Writes the needed chunks of these packs into new packs. Frames that are needed in full are copied; needed chunks of other
 * frames are gathered into new frames. A pack that turns out to be damaged is marked as such and left out. Returns the packs
 * whose needed chunks are now elsewhere.
 */
export async function rewritePacks(
  knowledge: PruneKnowledge,
  packs: readonly PlannedPack[],
  cover: ChunkCover,
  context: Context,
): Promise<readonly PlannedPack[]> {
  const { folder } = knowledge;
  const { signal } = context;
  const zstd = bestZstd();
  const frames = new LiveFrames(zstd, LEVEL);
  const writer = new PackWriter(knowledge, signal);
  const replaced: PlannedPack[] = [];
  for (const pack of packs) {
    signal.throwIfAborted();
    try {
      const bytes = await folder.read(folder.nameOf('packs', pack.id), pack.sizeBytes, signal);
      for await (const frame of readStoredPack(pack.id, [bytes], folder.seal)) {
        const isNeeded = (id: Uint8Array) => cover.isTakenFrom(pack.id, id);
        for (const made of frames.take(frame, isNeeded)) await writer.add(made);
      }
      replaced.push(pack);
    } catch (error) {
      // Gone: another prune has moved it.
      if (!(error instanceof Failure) || !['pack-damaged', 'target-missing'].includes(error.code))
        throw error;
      if (error.code === 'pack-damaged') await noteDamage(knowledge, pack, error, context);
    }
  }
  for (const made of frames.flush()) await writer.add(made);
  await writer.finish();
  return replaced;
}

async function noteDamage(
  { folder }: PruneKnowledge,
  { id }: PlannedPack,
  { message }: Failure,
  { signal, report }: Context,
): Promise<void> {
  await folder.mark('damaged', id, signal);
  report({
    type: 'warning',
    code: 'store-incomplete',
    message: `${message} The pack is kept, and the next backup sends its chunks again. vmferry verify shows which snapshots are damaged.`,
  });
}

/** Puts frames into packs, and writes the packs and their index files to the store. */
class PackWriter {
  readonly #knowledge: PruneKnowledge;
  readonly #signal: AbortSignal;
  readonly #open: OpenPack;
  #unindexed: IndexedPack[] = [];

  constructor(knowledge: PruneKnowledge, signal: AbortSignal) {
    this.#knowledge = knowledge;
    this.#signal = signal;
    this.#open = new OpenPack(knowledge.folder.seal);
  }

  async add(frame: Frame): Promise<void> {
    this.#open.add(frame);
    if (this.#open.isFull) await this.#put(await this.#open.close());
  }

  async finish(): Promise<void> {
    if (!this.#open.isEmpty) await this.#put(await this.#open.close());
    await this.#flushIndex();
  }

  async #put({ id, bytes, frames }: Pack): Promise<void> {
    const { folder } = this.#knowledge;
    await folder.store.put(folder.nameOf('packs', id), [bytes], { signal: this.#signal });
    this.#unindexed.push({ id, sizeBytes: bytes.length, frames });
    if (this.#unindexed.length >= PACKS_PER_INDEX) await this.#flushIndex();
  }

  async #flushIndex(): Promise<void> {
    const packs = this.#unindexed;
    if (packs.length === 0) return;
    this.#unindexed = [];
    await this.#knowledge.folder.writeIndex(packs, this.#signal);
    for (const pack of packs) this.#knowledge.facts.add(pack);
  }
}
