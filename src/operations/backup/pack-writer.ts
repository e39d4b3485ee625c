import { packFileName, type Pack } from '../../pack/pack.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import { KnownChunks } from '../../chunk/known-chunks.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { ChunkIndex, IndexedPack } from '../../repository/chunk-index/chunk-index.ts';
import { pageCount, pageText } from '../../repository/chunk-index/chunk-map-page.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { StoredObjects } from '../../repository/guest-reader.ts';
import { takeBack } from '../../repository/trash/trash.ts';
import type { PackSink } from '../../transfer/send-packs.ts';

/** Packs between index files. After an unfinished backup, the next one sends again all packs that no index file names. */
const PACKS_PER_INDEX = 16;
/** On a slow line, sending `PACKS_PER_INDEX` packs may take hours. */
const MOST_MS_BETWEEN_INDEXES = 5 * 60_000;
/** Pages that are written at once. */
const PAGES_AT_ONCE = 8;

/** Something that a backup relies on is gone from the store for good. The disks must be captured again. */
export class LostFromStore extends Error {}

/** The content of a guest's folder when a backup begins. */
interface FolderContents {
  index: ChunkIndex;
  indexFiles: Iterable<string>;
  pages: StoredObjects;
  damaged: Set<string>;
}

/** What one backup of a guest knows of the store and adds to it. */
export class BackupWriter implements PackSink {
  readonly #folder: GuestFolder;
  readonly #index: ChunkIndex;
  /** Index files that this backup relies on. */
  readonly #indexFiles: Set<string>;
  /** Pages that this backup relies on. */
  readonly #pages = new Set<string>();
  readonly #pagesThere: StoredObjects;
  /** Packs and pages that verify found damaged, and that were not sent again yet. */
  readonly #damaged: Set<string>;
  readonly #now: () => number;
  #unindexed: IndexedPack[] = [];
  /** When the first unindexed pack was stored. */
  #unindexedSinceMs = 0;
  #newBytes = 0;
  #newPlainBytes = 0;

  private constructor(
    folder: GuestFolder,
    { index, indexFiles, pages, damaged }: FolderContents,
    now: () => number,
  ) {
    this.#folder = folder;
    this.#index = index;
    this.#indexFiles = new Set(indexFiles);
    this.#pagesThere = pages;
    this.#damaged = damaged;
    this.#now = now;
  }

  /** Reads what the store has. */
  static async begin(
    folder: GuestFolder,
    context: Context,
    now: () => number = () => performance.now(),
  ): Promise<BackupWriter> {
    const { signal, report } = context;
    const damaged = await folder.marks('damaged', signal);
    const packs = await folder.objects('packs', signal);
    const pages = await folder.objects('maps', signal);
    for (const id of damaged) pages.delete(id);
    const indexFiles = await folder.objects('index', signal);
    // Chunks of damaged packs do not count as known, so that they are sent again.
    const rankOf = (packId: string) => (damaged.has(packId) ? 'never' : 'first');
    const index = await folder.readIndex(
      packs,
      rankOf,
      ({ message }) => report({ type: 'warning', code: 'store-incomplete', message }),
      signal,
    );
    return new BackupWriter(folder, { index, indexFiles: indexFiles.keys(), pages, damaged }, now);
  }

  /** The chunks that need not be sent, with room for more. */
  knownChunks(moreChunks: number): KnownChunks {
    const known = KnownChunks.withRoomFor(this.#index.chunkCount + moreChunks);
    for (const id of this.#index.ids()) known.add(id);
    return known;
  }

  /** Bytes that this backup has added to the store. */
  get newBytes(): number {
    return this.#newBytes;
  }

  /** Plain bytes of the chunks in the packs that it has added. */
  get newPlainBytes(): number {
    return this.#newPlainBytes;
  }

  async put(pack: Pack, signal: AbortSignal, onWritten: (bytes: number) => void): Promise<void> {
    const { id, bytes, plainBytes, frames } = pack;
    await this.#folder.store.put(this.#folder.pathOf(`packs/${packFileName(id)}`), [bytes], {
      signal,
      onWritten,
    });
    await this.#noteWhole(id, signal);
    this.#newBytes += bytes.length;
    this.#newPlainBytes += plainBytes;
    if (this.#unindexed.length === 0) this.#unindexedSinceMs = this.#now();
    this.#unindexed.push({ id, sizeBytes: bytes.length, frames });
    if (this.#isIndexDue) await this.flushIndex(signal);
  }

  get #isIndexDue(): boolean {
    return (
      this.#unindexed.length >= PACKS_PER_INDEX ||
      this.#now() - this.#unindexedSinceMs >= MOST_MS_BETWEEN_INDEXES
    );
  }

  /** Writes an index file of the packs that are in none yet. */
  async flushIndex(signal: AbortSignal): Promise<void> {
    const packs = this.#unindexed;
    if (packs.length === 0) return;
    this.#unindexed = [];
    for (const pack of packs) this.#index.add(pack);
    await this.#writeIndex(packs, signal);
  }

  /** Writes the pages of a map that the store does not have; returns the ids of all pages. */
  async putPages(map: ChunkMap, signal: AbortSignal): Promise<(string | null)[]> {
    const ids: (string | null)[] = [];
    const numbers = Array.from({ length: pageCount(map.grid) }, (_, page) => page);
    const pages = mapOrdered(numbers, PAGES_AT_ONCE, async (page) => {
      const text = pageText(map, page);
      if (text === '') return null;
      const written = await this.#folder.writePage(text, this.#pagesThere, signal);
      await this.#noteWhole(written.id, signal);
      return written;
    });
    for await (const page of pages) {
      ids.push(page?.id ?? null);
      if (page === null) continue;
      this.#pages.add(page.id);
      this.#newBytes += page.newBytes;
    }
    return ids;
  }

  /**
   * Checks that everything these maps need is in its place, and takes back what a prune has moved to the trash
   * (doc/store.md, Who writes when). Throws LostFromStore when something is gone.
   */
  async secure(maps: readonly ChunkMap[], signal: AbortSignal): Promise<void> {
    const packs = this.#packsOf(maps);
    const lost = [
      ...(await takeBack(this.#folder, 'packs', packs, signal)),
      ...(await takeBack(this.#folder, 'maps', this.#pages, signal)),
    ];
    if (lost.length > 0) throw new LostFromStore(`${lost.length} files`);
    const lostIndexes = await takeBack(this.#folder, 'index', this.#indexFiles, signal);
    if (lostIndexes.length === 0) return;
    for (const id of lostIndexes) this.#indexFiles.delete(id);
    const reached = [...this.#index.indexedPacks()].filter(({ id }) => packs.has(id));
    for (let first = 0; first < reached.length; first += PACKS_PER_INDEX)
      await this.#writeIndex(reached.slice(first, first + PACKS_PER_INDEX), signal);
  }

  /** Unmarks a damaged file that was sent again under its name. Otherwise every backup would send it again. */
  async #noteWhole(id: string, signal: AbortSignal): Promise<void> {
    if (this.#damaged.delete(id)) await this.#folder.unmark('damaged', id, signal);
  }

  async #writeIndex(packs: readonly IndexedPack[], signal: AbortSignal): Promise<void> {
    const { id, newBytes } = await this.#folder.writeIndex(packs, signal);
    this.#indexFiles.add(id);
    this.#newBytes += newBytes;
  }

  /** Maps each chunk to the first pack that has it. */
  #packsOf(maps: readonly ChunkMap[]): Set<string> {
    const frames = new Set<number>();
    for (const map of maps) {
      for (let position = 0; position < map.grid.chunkCount; position++) {
        const id = map.get(position);
        if (id === null) continue;
        const [frame] = this.#index.frameNumbersOf(id);
        if (frame === undefined) throw notIndexed(id);
        frames.add(frame);
      }
    }
    return new Set([...frames].map((frame) => this.#index.frame(frame).packId));
  }
}

function notIndexed(id: Uint8Array): Failure {
  const hex = Buffer.from(id).toString('hex');
  return new Failure('internal', `The chunk ${hex.slice(0, 12)}… was neither stored nor known.`);
}
