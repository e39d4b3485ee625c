import { createHash, randomBytes, type Hash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { buildPack, PACK_PLAIN_LIMIT_BYTES } from '../../../src/pack/pack.ts';
import { chunkGridFor, type ChunkGrid } from '../../../src/chunk/chunk-grid.ts';
import { bestZstd } from '../../../src/codec/zstd.ts';
import type { Frame } from '../../../src/pack/frame.ts';
import { pageCount, POSITIONS_PER_PAGE } from '../../../src/repository/chunk-index/chunk-map-page.ts';
import type { IndexedPack } from '../../../src/repository/chunk-index/chunk-index.ts';
import { GuestFolder } from '../../../src/repository/guest-folder.ts';
import { snapshotId } from '../../../src/repository/files/snapshot-id.ts';
import { initStore } from '../../../src/repository/keys/store-keys.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import type { BackupStore } from '../../../src/store/store.ts';
import { publishSnapshot } from './publish-snapshot.ts';

/** A store of one guest with many snapshots of one large, sparse disk. */
export interface LargeStore {
  guest: string;
  imageBytes: number;
  snapshots: number;
  /** Of the disk that are not empty, in each snapshot. */
  chunks: number;
  /** From one snapshot to the next. */
  changedChunks: number;
  /** The pages of the chunk map that these lie in, from one snapshot to the next. */
  changedPages: number;
}

/** The bytes of a chunk that are not zero. They are at its end, so that the hash of the zeros is computed only once. */
const MARK_BYTES = 4096;
const PACKS_PER_INDEX = 16;
const DAY_MS = 24 * 60 * 60 * 1000;

const zstd = bestZstd();
const { signal } = new AbortController();

/** Writes the store into a new directory. Fast, because nothing is made durable. */
export async function makeLargeStore(directory: string, shape: LargeStore): Promise<void> {
  mkdirSync(directory);
  const store = undurable(openDirectoryStore(directory));
  const firstMs = Date.now() - shape.snapshots * DAY_MS;
  const opened = await initStore(
    store,
    { encrypt: false, random: randomBytes, now: () => new Date(firstMs) },
    () => Promise.reject(new Error('this store has no passphrase')),
    signal,
  );
  const maker = new SnapshotMaker(new GuestFolder(store, shape.guest, opened.seal), shape);
  for (let state = 0; state < shape.snapshots; state++)
    await maker.makeSnapshot(state, new Date(firstMs + state * DAY_MS));
}

/** Writes the image as it is in that state; the last snapshot of the store has the state `snapshots - 1`. */
export function writeLargeImage(path: string, shape: LargeStore, state: number): void {
  const fd = openSync(path, 'w');
  ftruncateSync(fd, shape.imageBytes);
  const states = statesOf(shape, state);
  const { chunkBytes } = chunkGridFor(shape.imageBytes);
  for (const [number, since] of states.entries()) {
    const position = positionOf(shape, number);
    writeSync(fd, markOf(position, since), 0, MARK_BYTES, (position + 1) * chunkBytes - MARK_BYTES);
  }
  closeSync(fd);
}

function undurable(store: BackupStore): BackupStore {
  const put = store.put.bind(store);
  store.put = (name, parts, options) => put(name, parts, { ...options, durable: false });
  return store;
}

class SnapshotMaker {
  readonly #folder: GuestFolder;
  readonly #shape: LargeStore;
  readonly #grid: ChunkGrid;
  /** By number; hex. */
  readonly #chunkIds: string[] = [];
  readonly #pageTexts: string[];
  readonly #pages: (string | null)[];
  readonly #plain: Buffer;
  /** Of the zeros that all chunks begin with. */
  readonly #zeros: Hash;
  #unindexed: IndexedPack[] = [];

  constructor(folder: GuestFolder, shape: LargeStore) {
    this.#folder = folder;
    this.#shape = shape;
    this.#grid = chunkGridFor(shape.imageBytes);
    this.#pageTexts = Array.from({ length: pageCount(this.#grid) }, () => '');
    this.#pages = this.#pageTexts.map(() => null);
    this.#plain = Buffer.alloc(this.#grid.chunkBytes);
    this.#zeros = createHash('sha256').update(this.#plain.subarray(MARK_BYTES));
  }

  async makeSnapshot(state: number, at: Date): Promise<void> {
    const changed = state === 0 ? allChunks(this.#shape) : changedChunks(this.#shape, state);
    const newBytes = await this.#storeChunks(changed, state);
    const perPage = chunksPerPage(this.#shape);
    for (const page of new Set(changed.map((number) => Math.floor(number / perPage))))
      await this.#storePage(page);
    await this.#publish(at, newBytes);
  }

  async #storeChunks(numbers: readonly number[], state: number): Promise<number> {
    let newBytes = 0;
    const perPack = PACK_PLAIN_LIMIT_BYTES / this.#grid.chunkBytes;
    for (let first = 0; first < numbers.length; first += perPack) {
      const frames = numbers.slice(first, first + perPack).map((number) => this.#frame(number, state));
      const { id, bytes, frames: indexed } = await buildPack(frames, this.#folder.seal);
      await this.#folder.store.put(this.#folder.nameOf('packs', id), [bytes], { signal });
      newBytes += bytes.length;
      this.#unindexed.push({ id, sizeBytes: bytes.length, frames: indexed });
      if (this.#unindexed.length === PACKS_PER_INDEX) await this.#storeIndex();
    }
    await this.#storeIndex();
    return newBytes;
  }

  /** Frames as a backup makes them: each chunk of 1 MiB or more is a frame. */
  #frame(number: number, state: number): Frame {
    const position = positionOf(this.#shape, number);
    const mark = markOf(position, state);
    this.#plain.set(mark, this.#plain.length - MARK_BYTES);
    const id = this.#zeros.copy().update(mark).digest();
    this.#chunkIds[number] = id.toString('hex');
    const chunks = [{ position, id, length: this.#plain.length }];
    return { chunks, compressed: zstd.compress(this.#plain, 1) };
  }

  async #storeIndex(): Promise<void> {
    if (this.#unindexed.length > 0) await this.#folder.writeIndex(this.#unindexed, signal);
    this.#unindexed = [];
  }

  async #storePage(page: number): Promise<void> {
    const first = page * chunksPerPage(this.#shape);
    const text = this.#chunkIds
      .slice(first, first + chunksPerPage(this.#shape))
      .map((id, index) => `${positionOf(this.#shape, first + index)} ${id}\n`)
      .join('');
    this.#pageTexts[page] = text;
    this.#pages[page] = (await this.#folder.writePage(text, new Map(), signal)).id;
  }

  /** doc/store.md: the header, and the pages in order, are the map's text. */
  #fingerprint(): string {
    const { imageBytes, chunkBytes } = this.#grid;
    const hash = createHash('sha256');
    hash.update(`vmferry-chunk-map 1\nimage-bytes ${imageBytes}\nchunk-bytes ${chunkBytes}\n`);
    for (const text of this.#pageTexts) hash.update(text);
    return `sha256:${hash.digest('hex')}`;
  }

  async #publish(at: Date, newBytes: number): Promise<void> {
    const { guest, imageBytes } = this.#shape;
    await publishSnapshot(
      this.#folder,
      {
        id: snapshotId(at, '3abcd'),
        guest,
        createdAt: at.toISOString(),
        consistency: 'halted',
        definition: {
          name: guest,
          driver: 'offline',
          memoryBytes: null,
          cpuCount: null,
          kernel: null,
          initrd: null,
          disks: [{ device: 'disk0', path: `/srv/guests/${guest}`, readOnly: false }],
          commandLine: [],
        },
        host: 'old.example',
        vmferryVersion: '0.2.0',
        disks: [
          {
            name: guest,
            sizeBytes: imageBytes,
            chunkBytes: this.#grid.chunkBytes,
            fingerprint: this.#fingerprint(),
            mode: 0o600,
            uid: 0,
            gid: 0,
            modifiedMs: at.getTime(),
            pages: [...this.#pages],
          },
        ],
        newBytes,
      },
      signal,
    );
  }
}

function allChunks({ chunks }: LargeStore): number[] {
  return Array.from({ length: chunks }, (_, number) => number);
}

/** Chunks lie at the beginnings of all pages of the map, in as many as there are. */
function positionOf(shape: LargeStore, number: number): number {
  const perPage = chunksPerPage(shape);
  return Math.floor(number / perPage) * POSITIONS_PER_PAGE + (number % perPage);
}

function chunksPerPage({ imageBytes, chunks }: LargeStore): number {
  return Math.ceil(chunks / pageCount(chunkGridFor(imageBytes)));
}

/** The numbers of the chunks in which the state differs from the one before, ascending. */
function changedChunks(shape: LargeStore, state: number): number[] {
  const { chunks, changedChunks: count, changedPages } = shape;
  const perPage = chunksPerPage(shape);
  const pages = Math.ceil(chunks / perPage);
  const numbers = new Set<number>();
  for (let change = 0; change < count; change++) {
    const page = (state + Math.floor((change % changedPages) * (pages / changedPages))) % pages;
    const within = (state * 31 + Math.floor(change / changedPages)) % perPage;
    numbers.add(Math.min(page * perPage + within, chunks - 1));
  }
  return [...numbers].sort((first, second) => first - second);
}

/** For each chunk: the state in which it got its content. */
function statesOf(shape: LargeStore, last: number): Uint16Array {
  const states = new Uint16Array(shape.chunks);
  for (let state = 1; state <= last; state++)
    for (const number of changedChunks(shape, state)) states[number] = state;
  return states;
}

function markOf(position: number, state: number): Buffer {
  return Buffer.alloc(MARK_BYTES, `chunk ${position} as it is since state ${state}, `);
}
