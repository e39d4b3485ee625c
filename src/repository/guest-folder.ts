import { compressText } from '../codec/compressed-text.ts';
import { sealPurpose } from '../seal/seal.ts';
import type { BackupStore } from '../store/store.ts';
import type { IndexedPack } from './chunk-index/chunk-index.ts';
import { indexText } from './chunk-index/index-text.ts';
import { GuestReader, type StoredObjects } from './guest-reader.ts';

/** An index file with more packs could be longer than `INDEX_LIMIT_BYTES`. */
const MOST_PACKS_PER_INDEX = 64;

export interface WrittenObject {
  id: string;
  /** Size of the new file; 0 if it was there already. */
  newBytes: number;
}

/** A guest's folder in a store that can be written. */
export class GuestFolder extends GuestReader<BackupStore> {
  async mark(folder: 'damaged' | 'protected', id: string, signal: AbortSignal): Promise<void> {
    await this.store.put(this.pathOf(`${folder}/${id}`), [], { signal });
  }

  async unmark(folder: 'damaged' | 'protected', id: string, signal: AbortSignal): Promise<void> {
    await this.store.remove(this.pathOf(`${folder}/${id}`), signal);
  }

  async removeSnapshot(id: string, signal: AbortSignal): Promise<void> {
    await this.store.remove(this.nameOf('snapshots', id), signal);
  }

  /**
   * Writes a page of a chunk map.
   * @param there pages that the store has; they are not written again
   */
  async writePage(text: string, there: StoredObjects, signal: AbortSignal): Promise<WrittenObject> {
    return this.#writeText('maps', sealPurpose.page(this.guest), text, there, signal);
  }

  async writeIndex(packs: readonly IndexedPack[], signal: AbortSignal): Promise<WrittenObject> {
    return this.#writeText('index', sealPurpose.index(this.guest), indexText(packs), new Map(), signal);
  }

  /** Writes any number of packs into as many index files as they need. Returns the ids of these. */
  async writeIndexes(packs: readonly IndexedPack[], signal: AbortSignal): Promise<Set<string>> {
    const written = new Set<string>();
    for (let first = 0; first < packs.length; first += MOST_PACKS_PER_INDEX)
      written.add((await this.writeIndex(packs.slice(first, first + MOST_PACKS_PER_INDEX), signal)).id);
    return written;
  }

  async #writeText(
    kind: 'maps' | 'index',
    purpose: string,
    text: string,
    there: StoredObjects,
    signal: AbortSignal,
  ): Promise<WrittenObject> {
    const id = this.seal.nameOf(Buffer.from(text));
    if (there.has(id)) return { id, newBytes: 0 };
    const sealed = this.seal.seal(purpose, compressText(text));
    await this.store.put(this.nameOf(kind, id), [sealed], { signal });
    return { id, newBytes: sealed.length };
  }
}
