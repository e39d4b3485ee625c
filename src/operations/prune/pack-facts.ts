import { asFailure, type Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { IndexedPack } from '../../repository/chunk-index/chunk-index.ts';
import type { GuestReader, StoredObject, StoredObjects } from '../../repository/guest-reader.ts';
import { readTrashedIndex } from '../../repository/trash/trashed-text.ts';

const FILES_AT_ONCE = 8;
/** Files may come and go between listing and reading. */
const MOST_ROUNDS = 5;

/**
 * What index files say about packs. It stays true when an index file is gone: packs with the same id and size have the
 * same content.
 */
export class PackFacts {
  /** By id and size. */
  readonly #packs = new Map<string, IndexedPack>();
  /** By id of an index file that was read: the packs it names. */
  readonly #files = new Map<string, readonly IndexedPack[]>();
  /** By id of an index file that cannot be read: why. */
  readonly #damaged = new Map<string, Failure>();

  /** What a pack contains; null if no index file says so. */
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

  /** The packs that an index file names; none for an unreadable one. */
  packsIn(indexFile: string): readonly IndexedPack[] {
    return this.#files.get(indexFile) ?? [];
  }

  isDamaged(indexFile: string): boolean {
    return this.#damaged.has(indexFile);
  }

  /** The ids of those packs that the index files name with the right size. */
  namedBy(indexFiles: Iterable<string>, packs: StoredObjects): Set<string> {
    const named = new Set<string>();
    for (const file of indexFiles)
      for (const { id, sizeBytes } of this.packsIn(file))
        if (packs.get(id)?.sizeBytes === sizeBytes) named.add(id);
    return named;
  }

  /** Reads the index files that were not read yet. Returns all that are there now. */
  async refresh(folder: GuestReader, signal: AbortSignal): Promise<Map<string, StoredObject>> {
    for (let round = 1; ; round++) {
      const listed = await folder.objects('index', signal);
      const unread = [...listed.keys()].filter((id) => !this.#isRead(id));
      if (unread.length === 0) return listed;
      const contents = mapOrdered(unread, FILES_AT_ONCE, async (id) => ({
        id,
        packs: await folder.readIndexFile(id, signal, (failure) => this.#damaged.set(id, failure)),
      }));
      for await (const { id, packs } of contents)
        // No packs: missing, damaged or empty. The last round assumes empty.
        if (packs.length > 0 || round === MOST_ROUNDS) this.#learn(id, packs);
    }
  }

  /** Reads index files in the trash. Damaged ones are ignored. */
  async learnFromTrash(
    folder: GuestReader,
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
    // Refer to packs that are already known, so that each is in memory once.
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
