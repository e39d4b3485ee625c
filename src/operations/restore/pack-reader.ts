import { packedChunksOf } from '../../pack/pack-layout.ts';
import { storedFramesOf } from '../../pack/read-pack.ts';
import { Failure } from '../../failure.ts';
import type { ChunkIndex, IndexedFrame } from '../../repository/chunk-index/chunk-index.ts';
import type { GuestReader, StoredObject } from '../../repository/guest-reader.ts';
import { packDigest } from '../../repository/chunk-index/index-text.ts';
import { isMissingFile } from '../../repository/files/missing-file.ts';
import { trashed } from '../../repository/trash/trash.ts';

/**
 * Reads a guest's packs, also those in the trash: they are not moved back, because the store may be
 * read-only.
 */
export class PackReader {
  readonly #folder: GuestReader;
  #packs = new Map<string, StoredObject>();
  /** Packs whose own tables are in the index. */
  readonly #readWhole = new Set<string>();
  /** Bytes that have come from the store. */
  readBytes = 0;

  private constructor(folder: GuestReader) {
    this.#folder = folder;
  }

  static async open(folder: GuestReader, signal: AbortSignal): Promise<PackReader> {
    const reader = new PackReader(folder);
    await reader.#look(signal);
    return reader;
  }

  async #look(signal: AbortSignal): Promise<void> {
    const packs = new Map<string, StoredObject>(await trashed(this.#folder, 'packs', signal));
    for (const [id, pack] of await this.#folder.objects('packs', signal)) packs.set(id, pack);
    this.#packs = packs;
  }

  /** The index of the packs. Packs that were found damaged before come last. */
  async readIndex(onDamaged: (failure: Failure) => void, signal: AbortSignal): Promise<ChunkIndex> {
    const damaged = await this.#folder.marks('damaged', signal);
    const rankOf = (id: string) => (damaged.has(id) ? 'last' : 'first');
    return this.#folder.readIndex(this.#packs, rankOf, onDamaged, signal);
  }

  /**
   * Adds packs that no index file names, by their own tables, because index files may be lost. Returns false
   * if there is no such pack.
   */
  async indexOthers(index: ChunkIndex, signal: AbortSignal): Promise<boolean> {
    const known = new Set(index.packs.map(({ id }) => id));
    const others = [...this.#packs.values()].filter(({ id }) => !known.has(id));
    for (const pack of others) {
      index.add({ ...pack, frames: await this.#ownFrames(pack, signal) });
      this.#readWhole.add(pack.id);
    }
    return others.length > 0;
  }

  /**
   * Adds the frames of the packs' own tables that differ from the index. Each pack is read once. Returns
   * false if nothing was added.
   */
  async indexAgain(index: ChunkIndex, ids: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
    const again = [...ids].filter((id) => !this.#readWhole.has(id));
    if (again.length === 0) return false;
    const wanted = new Set(again);
    const said = new Map<string, Set<string>>(again.map((id) => [id, new Set()]));
    for (const { id, sizeBytes, frames } of index.indexedPacks())
      if (wanted.has(id))
        for (const frame of frames) said.get(id)?.add(packDigest({ id, sizeBytes, frames: [frame] }));
    let hasAdded = false;
    for (const id of again) {
      this.#readWhole.add(id);
      const pack = this.#packs.get(id);
      if (pack === undefined) continue;
      const frames = (await this.#ownFrames(pack, signal)).filter(
        (frame) => said.get(id)?.has(packDigest({ ...pack, frames: [frame] })) !== true,
      );
      if (frames.length === 0) continue;
      index.add({ ...pack, frames });
      hasAdded = true;
    }
    return hasAdded;
  }

  async #ownFrames({ id, sizeBytes }: StoredObject, signal: AbortSignal): Promise<IndexedFrame[]> {
    return this.#framesOf(id, await this.read(id, 0, Math.min(sizeBytes, MOST_PACK_BYTES), signal));
  }

  /** The frames before the first unreadable one. */
  async #framesOf(id: string, bytes: Uint8Array): Promise<IndexedFrame[]> {
    const frames: IndexedFrame[] = [];
    try {
      for await (const { chunks, offsetBytes, sizeBytes } of storedFramesOf(id, [bytes], this.#folder.seal))
        frames.push({ offsetBytes, sizeBytes, chunks: packedChunksOf(chunks) });
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'pack-damaged') throw error;
    }
    return frames;
  }

  /** Reads a range of a pack file into new memory. Fewer bytes, or none, if the file is shorter or missing. */
  async read(id: string, offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#readOnce(id, offset, length, signal);
    } catch (error) {
      if (!isMissingFile(error)) throw error;
    }
    // A prune or a backup may have moved it meanwhile.
    await this.#look(signal);
    try {
      return await this.#readOnce(id, offset, length, signal);
    } catch (error) {
      if (!isMissingFile(error)) throw error;
      return new Uint8Array();
    }
  }

  async #readOnce(id: string, offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const pack = this.#packs.get(id);
    if (pack === undefined) return new Uint8Array();
    const bytes = new Uint8Array(Math.max(0, Math.min(length, pack.sizeBytes - offset)));
    if (bytes.length === 0) return bytes;
    let filled = 0;
    for await (const part of this.#folder.store.get(pack.name, signal, { offset, length: bytes.length })) {
      const fitting = part.subarray(0, bytes.length - filled);
      bytes.set(fitting, filled);
      filled += fitting.length;
      this.readBytes += fitting.length;
    }
    return filled === bytes.length ? bytes : bytes.slice(0, filled);
  }
}

/** Longer than any pack. */
const MOST_PACK_BYTES = 2 ** 28;
