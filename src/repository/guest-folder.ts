import { compressText, decompressIds, decompressText } from '../codec/compressed-text.ts';
import { sealPurpose, type Seal } from '../seal/seal.ts';
import { chunkGridFor } from '../chunk/chunk-grid.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import { Failure } from '../failure.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import type { BackupStore, ByteRange } from '../store/store.ts';
import { tidyUpAfterObjects, tidyUpAfterReading } from '../system/garbage.ts';
import { PAGE_LIMIT_BYTES, readPageText } from './chunk-index/chunk-map-page.ts';
import { ChunkIndex, type IndexedPack } from './chunk-index/chunk-index.ts';
import { INDEX_LIMIT_BYTES, indexText, parseIndexText } from './chunk-index/index-text.ts';
import { fileNameOf, guestFolder, idOfFileName, type ObjectKind } from './files/layout.ts';
import { isMissingFile } from './files/missing-file.ts';
import {
  MANIFEST_LIMIT_BYTES,
  parseSnapshot,
  snapshotText,
  type Snapshot,
  type SnapshotDisk,
} from './snapshot.ts';
import { isSnapshotId } from './files/snapshot-id.ts';

/** Small files on their way at once: what they wait for is the round trip. */
const FILES_AT_ONCE = 8;
/** What zstd and a seal may add to the text of a file. */
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

/** What an index is read for: which packs count, and which only where no other has the chunk. */
export type PackRank = 'first' | 'last' | 'never';

/**
 * A guest's folder in a store (doc/store.md): its snapshots, pages, packs and indexes. What is in it is taken for
 * what it says it is only after it was checked; Failure `store-damaged` otherwise.
 */
export class GuestFolder {
  readonly guest: string;
  readonly seal: Seal;
  readonly store: BackupStore;
  readonly #folder: string;

  constructor(store: BackupStore, guest: string, seal: Seal) {
    this.store = store;
    this.guest = guest;
    this.seal = seal;
    this.#folder = guestFolder(guest);
  }

  /** The name in the store of an object in its place. */
  nameOf(kind: ObjectKind, id: string): string {
    return `${this.#folder}/${kind}/${fileNameOf(kind, id, this.seal.suffix)}`;
  }

  /** The name in the store of a file of the folder: `trash/…`, `damaged/…`. */
  pathOf(name: string): string {
    return `${this.#folder}/${name}`;
  }

  /** The objects in their place (not those in the trash). */
  async objects(kind: ObjectKind, signal: AbortSignal): Promise<Map<string, StoredObject>> {
    return this.objectsIn(kind, `${this.#folder}/${kind}`, signal);
  }

  /**
   * The objects of that kind in any folder of the store. Of what is strange there only manifests are given, so that they are found
   * damaged when they are read: what such a snapshot needs is not known. A strange page or pack counts as missing.
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

  /** The ids of files that stand for something by their name alone: `damaged`, `protected`. */
  async marks(folder: 'damaged' | 'protected', signal: AbortSignal): Promise<Set<string>> {
    const entries = await this.store.list(this.pathOf(folder), signal);
    return new Set(entries.filter(({ isFolder }) => !isFolder).map(({ name }) => name));
  }

  async mark(folder: 'damaged' | 'protected', id: string, signal: AbortSignal): Promise<void> {
    await this.store.put(this.pathOf(`${folder}/${id}`), [], { signal });
  }

  async unmark(folder: 'damaged' | 'protected', id: string, signal: AbortSignal): Promise<void> {
    await this.store.remove(this.pathOf(`${folder}/${id}`), signal);
  }

  /** Ids of its snapshots, the oldest first. */
  async snapshotIds(signal: AbortSignal): Promise<string[]> {
    return [...(await this.objects('snapshots', signal)).keys()].sort();
  }

  /** Throws Failure `snapshot-missing` where there is none of that id. */
  async readSnapshot(id: string, signal: AbortSignal): Promise<Snapshot> {
    const name = this.nameOf('snapshots', id);
    const sealed = await this.read(name, MANIFEST_LIMIT_BYTES, signal).catch((error: unknown) => {
      throw isMissingFile(error) ? noSnapshot(this.guest, id, error) : error;
    });
    const text = this.seal.open(sealPurpose.snapshot(this.guest, id), sealed);
    return parseSnapshot(Buffer.from(text).toString('utf8'), this.guest, id);
  }

  /** From now on the snapshot exists: everything that it reaches must be in the store. */
  async publishSnapshot(snapshot: Snapshot, signal: AbortSignal): Promise<void> {
    const sealed = this.seal.seal(
      sealPurpose.snapshot(this.guest, snapshot.id),
      Buffer.from(snapshotText(snapshot)),
    );
    await this.store.put(this.nameOf('snapshots', snapshot.id), [sealed], { signal });
  }

  async removeSnapshot(id: string, signal: AbortSignal): Promise<void> {
    await this.store.remove(this.nameOf('snapshots', id), signal);
  }

  /** Writes a page if it is not among those that are there; answers with its id and the bytes it added. */
  async writePage(text: string, there: StoredObjects, signal: AbortSignal): Promise<WrittenObject> {
    return this.#writeText('maps', sealPurpose.page(this.guest), text, there, signal);
  }

  async writeIndex(packs: readonly IndexedPack[], signal: AbortSignal): Promise<WrittenObject> {
    return this.#writeText('index', sealPurpose.index(this.guest), indexText(packs), new Map(), signal);
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
      throw new Failure('store-damaged', `The chunk map of ${disk.name} is not that of its fingerprint.`);
    return map;
  }

  /** A page's text. */
  async readPage(id: string, signal: AbortSignal): Promise<string> {
    return this.#readText('maps', sealPurpose.page(this.guest), id, PAGE_LIMIT_BYTES, signal);
  }

  /**
   * What the index files say of packs that are there as they say. Index files that cannot be read are passed to
   * `onDamaged`, and count for nothing.
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

  /** The packs of one index file; none, and `onDamaged`, where it cannot be read. */
  async readIndexFile(
    id: string,
    signal: AbortSignal,
    onDamaged: (failure: Failure) => void,
  ): Promise<IndexedPack[]> {
    try {
      return parseIndexText(
        await this.#readText('index', sealPurpose.index(this.guest), id, INDEX_LIMIT_BYTES, signal),
      );
    } catch (error) {
      // A prune that runs now may have put another in its place.
      if (!(error instanceof Failure) || (error.code !== 'store-damaged' && !isMissingFile(error)))
        throw error;
      if (error.code === 'store-damaged') onDamaged(error);
      return [];
    }
  }

  /** A whole file, or a range of it. Throws Failure `store-damaged` where it is longer than the limit. */
  async read(name: string, limitBytes: number, signal: AbortSignal, range?: ByteRange): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const part of this.store.get(name, signal, range)) {
      sizeBytes += part.length;
      tidyUpAfterReading(part.length);
      if (sizeBytes > limitBytes) throw new Failure('store-damaged', `${name} is longer than any such file.`);
      parts.push(part);
    }
    return Buffer.concat(parts, sizeBytes);
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

  async #readText(
    kind: 'maps' | 'index',
    purpose: string,
    id: string,
    limitBytes: number,
    signal: AbortSignal,
  ): Promise<string> {
    const name = this.nameOf(kind, id);
    const sealed = await this.read(name, limitBytes + SEALED_EXTRA_BYTES, signal).catch((error: unknown) => {
      if (!isMissingFile(error) || kind === 'index') throw error;
      throw new Failure('store-damaged', `${name} is missing.`, { cause: error });
    });
    const decompress = kind === 'index' ? decompressIds : decompressText;
    const text = decompress(this.seal.open(purpose, sealed), limitBytes, name);
    if (this.seal.nameOf(Buffer.from(text)) !== id)
      throw new Failure('store-damaged', `${name} is damaged: it is not what its name says.`);
    return text;
  }
}

export interface WrittenObject {
  id: string;
  /** Of its file; 0 where it was there. */
  newBytes: number;
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
