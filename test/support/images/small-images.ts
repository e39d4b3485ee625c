import { hash } from 'node:crypto';
import { buildPack } from '../../../src/pack/pack.ts';
import { chunkGridFor, SMALLEST_CHUNK_BYTES } from '../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { decompressText } from '../../../src/codec/compressed-text.ts';
import { bestZstd } from '../../../src/codec/zstd.ts';
import { BackupWriter, LostFromStore } from '../../../src/operations/backup/pack-writer.ts';
import {
  announceSnapshot,
  confirmSnapshot,
  dropAnnouncement,
} from '../../../src/repository/announced-snapshot.ts';
import { readPageText } from '../../../src/repository/chunk-index/chunk-map-page.ts';
import type { GuestFolder } from '../../../src/repository/guest-folder.ts';
import { parseIndexText } from '../../../src/repository/chunk-index/index-text.ts';
import type { Snapshot } from '../../../src/repository/snapshot.ts';
import { frameOf } from '../stores/packs.ts';

const zstd = bestZstd();
const { signal } = new AbortController();
const context = { signal, report: () => undefined };

/** An image: for each chunk the number of its content; 0 is empty. */
export type SmallImage = readonly number[];

const contents = new Map<number, { plain: Uint8Array; id: Uint8Array }>();

function contentOf(number: number): { plain: Uint8Array; id: Uint8Array } {
  let content = contents.get(number);
  if (content === undefined) {
    const plain = Buffer.alloc(SMALLEST_CHUNK_BYTES, hash('sha256', `content ${number}`, 'buffer'));
    content = { plain, id: chunkId(plain) };
    contents.set(number, content);
  }
  return content;
}

export function imageBytesOf(image: SmallImage): number {
  return image.length * SMALLEST_CHUNK_BYTES;
}

export function mapOf(image: SmallImage): ChunkMap {
  const map = new ChunkMap(chunkGridFor(imageBytesOf(image)));
  for (const [position, number] of image.entries()) if (number !== 0) map.set(position, contentOf(number).id);
  return map;
}

/**
 * Backs up a small image as in doc/store.md, by the writer that backups use, but without worker threads. Frames have
 * three chunks, packs two frames. Returns what it has published.
 */
export async function backupSmallImage(
  folder: GuestFolder,
  image: SmallImage,
  id: string,
  createdAt: Date,
): Promise<Snapshot> {
  for (;;) {
    const writer = await BackupWriter.begin(folder, context);
    await sendImage(writer, image);
    const map = mapOf(image);
    const snapshot = describe(folder, id, createdAt, map, await writer.putPages(map, signal));
    try {
      await announceSnapshot(folder, snapshot, signal);
      await writer.secure([map], signal);
      if (await confirmSnapshot(folder, id, signal)) return snapshot;
    } catch (error) {
      if (!(error instanceof LostFromStore)) throw error;
      await dropAnnouncement(folder, id, signal);
    }
  }
}

async function sendImage(writer: BackupWriter, image: SmallImage): Promise<void> {
  const known = writer.knownChunks(image.length);
  const fresh = [...image.entries()].filter(([, number]) => number !== 0 && known.add(contentOf(number).id));
  const frames = inGroups(fresh, 3).map((group) =>
    frameOf(new Map(group.map(([position, number]) => [position, contentOf(number).plain])), zstd),
  );
  for (const group of inGroups(frames, 2)) await writer.put(await buildPack(group), signal, () => undefined);
  await writer.flushIndex(signal);
}

function inGroups<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, group) =>
    items.slice(group * size, (group + 1) * size),
  );
}

function describe(
  folder: GuestFolder,
  id: string,
  createdAt: Date,
  map: ChunkMap,
  pages: readonly (string | null)[],
): Snapshot {
  const { imageBytes: sizeBytes, chunkBytes } = map.grid;
  return {
    id,
    guest: folder.guest,
    createdAt: createdAt.toISOString(),
    consistency: 'halted',
    definition: {
      name: folder.guest,
      driver: 'offline',
      memoryBytes: null,
      cpuCount: null,
      kernel: null,
      initrd: null,
      disks: [{ device: 'disk0', path: '/srv/small.img', readOnly: false }],
      commandLine: [],
    },
    host: 'old.example',
    vmferryVersion: '0.2.0',
    disks: [
      {
        name: 'small.img',
        sizeBytes,
        chunkBytes,
        fingerprint: map.fingerprint(),
        mode: 0o600,
        uid: 0,
        gid: 0,
        modifiedMs: 0,
        pages,
      },
    ],
    newBytes: 0,
  };
}

/** Packs that were unpacked before are not unpacked again: a pack of the same name always has the same content. */
const unpacked = new Map<string, boolean>();

/**
 * Why a snapshot of a small image cannot be restored from the files of a store; null when it can, bit for bit. It is
 * read without vmferry: files in their places and in the trash count.
 */
export async function whyNotRestorable(
  files: ReadonlyMap<string, Uint8Array>,
  folder: GuestFolder,
  id: string,
  image: SmallImage,
): Promise<string | null> {
  const snapshot = await folder.readSnapshot(id, signal);
  const [disk] = snapshot.disks;
  if (disk === undefined) return 'it has no disk';
  const named = (kind: string) =>
    [...files].filter(([name]) => name.startsWith(`guests/${folder.guest}/`) && name.includes(`/${kind}/`));
  const fileOf = (kind: string, fileName: string) =>
    named(kind).find(([name]) => name.endsWith(`/${fileName}`))?.[1];
  const map = new ChunkMap(chunkGridFor(disk.sizeBytes));
  for (const [page, pageId] of disk.pages.entries()) {
    if (pageId === null) continue;
    const file = fileOf('maps', `${pageId}.zst`);
    if (file === undefined) return `page ${page} is lost`;
    readPageText(decompressText(file, 2 ** 20, 'a page'), page, map);
  }
  if (map.fingerprint() !== mapOf(image).fingerprint()) return 'it is another image';
  const packs = named('index').flatMap(([, file]) =>
    parseIndexText(decompressText(file, 2 ** 20, 'an index')),
  );
  for (const number of new Set(image)) {
    if (number === 0) continue;
    const { id: wanted, plain } = contentOf(number);
    const isFound = packs.some((pack) => {
      const file = fileOf('packs', `${pack.id}.tar`);
      return (
        file?.length === pack.sizeBytes &&
        pack.frames.some((frame) => isIn(file, pack.id, frame, wanted, plain))
      );
    });
    if (!isFound) return `the chunk ${number} is lost`;
  }
  return null;
}

function isIn(
  file: Uint8Array,
  packId: string,
  { offsetBytes, sizeBytes, chunks }: ReturnType<typeof parseIndexText>[number]['frames'][number],
  wanted: Uint8Array,
  plain: Uint8Array,
): boolean {
  const key = `${packId} ${offsetBytes} ${Buffer.from(wanted).toString('hex')}`;
  const known = unpacked.get(key);
  if (known !== undefined) return known;
  const row = Array.from(chunks.lengths, (_, one) => chunks.ids.subarray(one * 32, one * 32 + 32)).findIndex(
    (one) => Buffer.compare(one, wanted) === 0,
  );
  let isFound = false;
  if (row !== -1) {
    const plainBytes = chunks.lengths.reduce((sum, length) => sum + length, 0);
    const all = zstd.decompress(file.subarray(offsetBytes, offsetBytes + sizeBytes), plainBytes);
    const start = chunks.lengths.subarray(0, row).reduce((sum, length) => sum + length, 0);
    isFound = Buffer.compare(all.subarray(start, start + plain.length), plain) === 0;
  }
  unpacked.set(key, isFound);
  return isFound;
}
