import { decompressIds, decompressText } from '../codec/compressed-text.ts';
import { sealPurpose, type Seal } from '../seal/seal.ts';
import { chunkGridFor } from '../chunk/chunk-grid.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import { Failure } from '../failure.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import type { ByteRange, ReadableStore } from '../store/store.ts';
import { tidyUpAfterObjects } from '../system/memory/garbage.ts';
import { PAGE_LIMIT_BYTES, readPageText } from './chunk-index/chunk-map-page.ts';
import { ChunkIndex, type IndexedPack } from './chunk-index/chunk-index.ts';
import { INDEX_LIMIT_BYTES, parseIndexText } from './chunk-index/index-text.ts';
import { fileNameOf, guestFolder, idOfFileName, type ObjectKind } from './files/layout.ts';
import { isMissingFile } from './files/missing-file.ts';
import { readSmallFile } from './files/small-file.ts';
import { MANIFEST_LIMIT_BYTES, parseSnapshot, type Snapshot, type SnapshotDisk } from './snapshot.ts';
import { isSnapshotId } from './files/snapshot-id.ts';

/** Small files that are read at once: each waits for a round trip. */
const FILES_AT_ONCE = 8;
/** More than zstd and a seal ever add to the text of a file. */
const SEALED_EXTRA_BYTES = 64 * 1024;

/** A file of a guest's folder. */
export interface StoredObject {
  id: string;
  /** Its name in the store. */
  name: string;
  sizeBytes: number;
  /** By the server's clock. */
  modifiedMs: number;
}

/** By id. */
export type StoredObjects = ReadonlyMap<string, StoredObject>;

/** How an index treats a pack. `last`: its chunks are used only if no other pack has them. */
export type PackRank = 'first' | 'last' | 'never';

/**
 * Reads a guest's folder in a store (doc/store.md): snapshots, pages, packs and index files. Everything is checked before it is
 * returned; Failure `store-damaged` otherwise.
 */
export class GuestReader<Store extends ReadableStore = ReadableStore> {
  readonly guest: string;
  readonly seal: Seal;
  readonly store: Store;
  readonly #folder: string;

  constructor(store: Store, guest: string, seal: Seal) {
    this.store = store;
    this.guest = guest;
    this.seal = seal;
    this.#folder = guestFolder(guest);
  }

  /** The name in the store of an object in its place. */
  nameOf(kind: ObjectKind, id: string): string {
    return `${this.#folder}/${kind}/${fileNameOf(kind, id, this.seal.suffix)}`;
  }

  /** The name in the store of a file or folder in this folder: `trash/…`, `damaged/…`. */
  pathOf(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** The objects in their place (not those in the trash). */
  async objects(kind: ObjectKind, signal: AbortSignal): Promise<Map<string, StoredObject>> {
    return this.objectsIn(kind, `${this.#folder}/${kind}`, signal);
  }

  /**
   * The objects of that kind in any folder of the store. A page or pack that is not an ordinary file counts
   * as missing. A manifest that is not an ordinary file is returned, and found damaged when it is read: its
   * data must not be pruned.
   */
  async objectsIn(kind: ObjectKind, folder: string, signal: AbortSignal): Promise<Map<string, StoredObject>> {
    const found = new Map<string, StoredObject>();
    for (const { name, isFolder, isStrange, sizeBytes, modifiedMs } of await this.store.list(
      folder,
      signal,
    )) {
      const isPassedOver = isFolder || (isStrange === true && kind !== 'snapshots');
      const id = isPassedOver ? null : idOfFileName(kind, name, this.seal.suffix);
      if (id !== null && isObjectId(kind, id))
        found.set(id, { id, name: `${folder}/${name}`, sizeBytes, modifiedMs });
    }
    tidyUpAfterObjects();
    return found;
  }

  /** The ids that are marked: each by an empty file of that name. */
  async marks(folder: 'damaged' | 'protected', signal: AbortSignal): Promise<Set<string>> {
    const entries = await this.store.list(this.pathOf(folder), signal);
    return new Set(entries.filter(({ isFolder }) => !isFolder).map(({ name }) => name));
  }

  /** Ids of its snapshots, the oldest first. */
  async snapshotIds(signal: AbortSignal): Promise<string[]> {
    return [...(await this.objects('snapshots', signal)).keys()].sort();
  }

  /** Throws Failure `snapshot-missing` if there is no snapshot with that id. */
  async readSnapshot(id: string, signal: AbortSignal): Promise<Snapshot> {
    try {
      return await this.readManifest(this.nameOf('snapshots', id), id, signal);
    } catch (error) {
      throw isMissingFile(error) ? noSnapshot(this.guest, id, error) : error;
    }
  }

  /** The snapshot that a file of this name describes; the id is checked. */
  async readManifest(name: string, id: string, signal: AbortSignal): Promise<Snapshot> {
    const sealed = await this.read(name, MANIFEST_LIMIT_BYTES, signal);
    const text = this.seal.open(sealPurpose.snapshot(this.guest, id), sealed);
    return parseSnapshot(Buffer.from(text).toString('utf8'), this.guest, id);
  }

  /** The chunk map of a snapshot's disk. Throws Failure `store-damaged` for the first page that is missing or wrong. */
  async readChunkMap(disk: SnapshotDisk, signal: AbortSignal): Promise<ChunkMap> {
    const map = new ChunkMap(chunkGridFor(disk.sizeBytes));
    const pages = mapOrdered(disk.pages.entries(), FILES_AT_ONCE, async ([number, id]) => ({
      number,
      text: id === null ? '' : await this.readPage(id, signal),
    }));
    for await (const { number, text } of pages) readPageText(text, number, map);
    if (map.fingerprint() !== disk.fingerprint)
      throw new Failure('store-damaged', `The chunk map of ${disk.name} does not match its fingerprint.`);
    return map;
  }

  /** A page's text. */
  async readPage(id: string, signal: AbortSignal): Promise<string> {
    const name = this.nameOf('maps', id);
    try {
      return await this.readText('maps', { id, name }, signal);
    } catch (error) {
      if (!isMissingFile(error)) throw error;
      throw new Failure('store-damaged', `${name} is missing.`, { cause: error });
    }
  }

  /**
   * What the index files say about these packs, where they agree on a pack's size. An unreadable index file is passed to
   * `onDamaged`, and left out.
   */
  async readIndex(
    packs: StoredObjects,
    rankOf: (packId: string) => PackRank,
    onDamaged: (failure: Failure) => void,
    signal: AbortSignal,
  ): Promise<ChunkIndex> {
    const index = new ChunkIndex();
    const seen = new Set<string>();
    const last: IndexedPack[] = [];
    const files = await this.objects('index', signal);
    const contents = mapOrdered(files.keys(), FILES_AT_ONCE, (id) =>
      this.readIndexFile(id, signal, onDamaged),
    );
    for await (const found of contents) {
      for (const pack of found) {
        const rank = rankOf(pack.id);
        if (seen.has(pack.id) || rank === 'never' || packs.get(pack.id)?.sizeBytes !== pack.sizeBytes)
          continue;
        seen.add(pack.id);
        if (rank === 'first') index.add(pack);
        else last.push(pack);
      }
    }
    for (const pack of last) index.add(pack);
    tidyUpAfterObjects();
    return index;
  }

  /** The packs in one index file. If it is damaged: none, and `onDamaged` is called. None if it is gone. */
  async readIndexFile(
    id: string,
    signal: AbortSignal,
    onDamaged: (failure: Failure) => void,
  ): Promise<IndexedPack[]> {
    try {
      return parseIndexText(await this.readText('index', { id, name: this.nameOf('index', id) }, signal));
    } catch (error) {
      // A running prune may have replaced it.
      if (isMissingFile(error)) return [];
      if (!(error instanceof Failure) || error.code !== 'store-damaged') throw error;
      onDamaged(error);
      return [];
    }
  }

  /** The text of a page or an index file, wherever the file is. Throws Failure `store-damaged` if it is not that of the id. */
  async readText(
    kind: 'maps' | 'index',
    { id, name }: Pick<StoredObject, 'id' | 'name'>,
    signal: AbortSignal,
  ): Promise<string> {
    const [purpose, limitBytes, decompress] =
      kind === 'index'
        ? [sealPurpose.index(this.guest), INDEX_LIMIT_BYTES, decompressIds]
        : [sealPurpose.page(this.guest), PAGE_LIMIT_BYTES, decompressText];
    const sealed = await this.read(name, limitBytes + SEALED_EXTRA_BYTES, signal);
    const text = decompress(this.seal.open(purpose, sealed), limitBytes, name);
    if (this.seal.nameOf(Buffer.from(text)) === id) return text;
    throw new Failure('store-damaged', `${name} is damaged: its name is not the digest of its content.`);
  }

  /** A whole file, or a range of it. Throws Failure `store-damaged` if it is longer than the limit. */
  async read(name: string, limitBytes: number, signal: AbortSignal, range?: ByteRange): Promise<Buffer> {
    return readSmallFile(this.store, name, limitBytes, signal, range);
  }
}

function isObjectId(kind: ObjectKind, id: string): boolean {
  return kind === 'snapshots' ? isSnapshotId(id) : /^[0-9a-f]{64}$/.test(id);
}

function noSnapshot(guest: string, id: string, cause: unknown): Failure {
  return new Failure('snapshot-missing', `The store has no snapshot ${id} of ${guest}.`, {
    advice: 'vmferry list STORE shows what it has.',
    cause,
  });
}
