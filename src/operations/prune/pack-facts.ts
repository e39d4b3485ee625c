import { asFailure, type Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { IndexedPack } from '../../repository/chunk-index/chunk-index.ts';
import type { GuestFolder, StoredObject, StoredObjects } from '../../repository/guest-folder.ts';
import { readTrashedIndex } from '../../repository/trash/trashed-text.ts';

const FILES_AT_ONCE = 8;
/** Files may come and go between a list and the reading of what it names. */
const MOST_ROUNDS = 5;

/**
 * What index files say of packs. That remains true when a file is gone: a pack of that name and size never holds
 * anything else.
 */
export class PackFacts {
  /** By id and size. */
  readonly #packs = new Map<string, IndexedPack>();
  /** Of each index file that was read, the packs it names. */
  readonly #files = new Map<string, readonly IndexedPack[]>();
  /** Of each that cannot be read, why. */
  readonly #damaged = new Map<string, Failure>();

  /** What is in this file; null where no index file has said so. */
  of({ id, sizeBytes }: { id: string; sizeBytes: number }): IndexedPack | null {
    return this.#packs.get(keyOf(id, sizeBytes)) ?? null;
  }

  add(pack: IndexedPack): void {
    if (!this.#packs.has(keyOf(pack.id, pack.sizeBytes)))
      this.#packs.set(keyOf(pack.id, pack.sizeBytes), pack);
  }

  get damaged(): readonly Failure[] {
    return [...this.#damaged.values()];
  }

  /** Of an index file that was read; none for one that cannot be. */
  packsIn(indexFile: string): readonly IndexedPack[] {
    return this.#files.get(indexFile) ?? [];
  }

  isDamaged(indexFile: string): boolean {
    return this.#damaged.has(indexFile);
  }

  /** Of these packs, those that the index files name, by id. */
  namedBy(indexFiles: Iterable<string>, packs: StoredObjects): Set<string> {
    const named = new Set<string>();
    for (const file of indexFiles)
      for (const { id, sizeBytes } of this.packsIn(file))
        if (packs.get(id)?.sizeBytes === sizeBytes) named.add(id);
    return named;
  }

  /** Reads the index files that were not read yet; answers with those that are there now. */
  async refresh(folder: GuestFolder, signal: AbortSignal): Promise<Map<string, StoredObject>> {
    for (let round = 1; ; round++) {
      const listed = await folder.objects('index', signal);
      const unread = [...listed.keys()].filter((id) => !this.#isRead(id));
      if (unread.length === 0) return listed;
      const contents = mapOrdered(unread, FILES_AT_ONCE, async (id) => ({
        id,
        packs: await folder.readIndexFile(id, signal, (failure) => this.#damaged.set(id, failure)),
      }));
      for await (const { id, packs } of contents)
        // None: it is gone, damaged, or in truth empty, which the last round takes it for.
        if (packs.length > 0 || round === MOST_ROUNDS) this.#learn(id, packs);
    }
  }

  /** The same for index files in the trash, of which nothing is kept but what they say. */
  async learnFromTrash(
    folder: GuestFolder,
    objects: Iterable<StoredObject>,
    signal: AbortSignal,
  ): Promise<void> {
    const unread = [...objects].filter(({ id }) => !this.#isRead(id));
    const contents = mapOrdered(unread, FILES_AT_ONCE, async (object) => {
      try {
        return { id: object.id, packs: await readTrashedIndex(folder, object, signal) };
      } catch (error) {
        const failure = asFailure(error);
        if (failure.code !== 'store-damaged') throw error;
        return { id: object.id, packs: null };
      }
    });
    for await (const { id, packs } of contents) if (packs !== null) this.#learn(id, packs);
  }

  #learn(indexFile: string, packs: readonly IndexedPack[]): void {
    if (this.#damaged.has(indexFile)) return;
    for (const pack of packs) this.add(pack);
    // What was known before is kept once.
    this.#files.set(
      indexFile,
      packs.map((pack) => this.of(pack) ?? pack),
    );
  }

  #isRead(indexFile: string): boolean {
    return this.#files.has(indexFile) || this.#damaged.has(indexFile);
  }
}

function keyOf(id: string, sizeBytes: number): string {
  return `${id} ${sizeBytes}`;
}
