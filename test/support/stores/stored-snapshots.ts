import { buildPack } from '../../../src/pack/pack.ts';
import { chunkGridFor, chunkLength } from '../../../src/chunk/chunk-grid.ts';
import { chunkId, isAllZero } from '../../../src/chunk/chunk-id.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { bestZstd } from '../../../src/codec/zstd.ts';
import type { Frame } from '../../../src/pack/frame.ts';
import { pageCount, pageText } from '../../../src/repository/chunk-index/chunk-map-page.ts';
import type { GuestDefinition } from '../../../src/guest/definition.ts';
import type { GuestFolder } from '../../../src/repository/guest-folder.ts';
import type { Snapshot, SnapshotDisk } from '../../../src/repository/snapshot.ts';
import { snapshotId } from '../../../src/repository/files/snapshot-id.ts';
import { frameOf } from './packs.ts';
import { publishSnapshot } from './publish-snapshot.ts';

const zstd = bestZstd();
const { signal } = new AbortController();

export interface StoredDisk {
  name: string;
  image: Uint8Array;
}

export interface StoreSnapshotOptions {
  chunksPerFrame?: number;
  framesPerPack?: number;
  /** Null: an image that no guest uses. */
  definition?: GuestDefinition | null;
}

/** Makes a snapshot of images in memory as a backup does, without worker threads. */
export async function storeSnapshot(
  folder: GuestFolder,
  disks: readonly StoredDisk[],
  at: Date,
  { chunksPerFrame = 16, framesPerPack = 8, definition = null }: StoreSnapshotOptions = {},
): Promise<Snapshot> {
  const packs = await folder.objects('packs', signal);
  const damaged = await folder.marks('damaged', signal);
  const known = await folder.readIndex(
    packs,
    (id) => (damaged.has(id) ? 'never' : 'first'),
    () => undefined,
    signal,
  );
  const described: SnapshotDisk[] = [];
  for (const { name, image } of disks) {
    const { map, frames } = framesOf(image, (id) => known.has(id), chunksPerFrame);
    for (let first = 0; first < frames.length; first += framesPerPack) {
      const pack = await buildPack(frames.slice(first, first + framesPerPack), folder.seal);
      await folder.store.put(folder.nameOf('packs', pack.id), [pack.bytes], { signal });
      await folder.writeIndex([{ id: pack.id, sizeBytes: pack.bytes.length, frames: pack.frames }], signal);
      known.add({ id: pack.id, sizeBytes: pack.bytes.length, frames: pack.frames });
    }
    described.push(await describe(folder, name, map));
  }
  const snapshot: Snapshot = {
    id: snapshotId(at, '3abcd'),
    guest: folder.guest,
    createdAt: at.toISOString(),
    consistency: 'halted',
    definition: definition ?? {
      name: folder.guest,
      driver: 'offline',
      memoryBytes: null,
      cpuCount: null,
      kernel: null,
      initrd: null,
      disks: disks.map(({ name }, slot) => ({
        device: `disk${slot}`,
        path: `/srv/guests/${name}`,
        readOnly: false,
      })),
      commandLine: [],
    },
    host: 'old.example',
    vmferryVersion: '0.2.0',
    disks: described,
    newBytes: 1,
  };
  await publishSnapshot(folder, snapshot, signal);
  return snapshot;
}

function framesOf(image: Uint8Array, isKnown: (id: Uint8Array) => boolean, chunksPerFrame: number) {
  const map = new ChunkMap(chunkGridFor(image.length));
  const { chunkBytes, chunkCount } = map.grid;
  const frames: Frame[] = [];
  let chunks = new Map<number, Uint8Array>();
  const taken = new Set<string>();
  for (let position = 0; position < chunkCount; position++) {
    const offset = position * chunkBytes;
    const plain = image.subarray(offset, offset + chunkLength(map.grid, position));
    if (isAllZero(plain)) continue;
    const id = chunkId(plain);
    map.set(position, id);
    const hex = Buffer.from(id).toString('hex');
    if (isKnown(id) || taken.has(hex)) continue;
    taken.add(hex);
    chunks.set(position, plain);
    if (chunks.size < chunksPerFrame) continue;
    frames.push(frameOf(chunks, zstd));
    chunks = new Map();
  }
  if (chunks.size > 0) frames.push(frameOf(chunks, zstd));
  return { map, frames };
}

async function describe(folder: GuestFolder, name: string, map: ChunkMap): Promise<SnapshotDisk> {
  const damaged = await folder.marks('damaged', signal);
  const there = new Map([...(await folder.objects('maps', signal))].filter(([id]) => !damaged.has(id)));
  const pages: (string | null)[] = [];
  for (let page = 0; page < pageCount(map.grid); page++) {
    const text = pageText(map, page);
    pages.push(text === '' ? null : (await folder.writePage(text, there, signal)).id);
  }
  return {
    name,
    sizeBytes: map.grid.imageBytes,
    chunkBytes: map.grid.chunkBytes,
    fingerprint: map.fingerprint(),
    mode: 0o600,
    uid: 0,
    gid: 0,
    modifiedMs: 1_795_000_000_000,
    pages,
  };
}
