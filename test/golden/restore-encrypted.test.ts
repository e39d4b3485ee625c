import { createHash, randomBytes } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { buildPack } from '../../src/pack/pack.ts';
import { chunkGridFor } from '../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../src/chunk/chunk-id.ts';
import { ChunkMap } from '../../src/chunk/chunk-map.ts';
import { bestZstd } from '../../src/codec/zstd.ts';
import { pageCount, pageText } from '../../src/repository/chunk-index/chunk-map-page.ts';
import { GuestFolder } from '../../src/repository/guest-folder.ts';
import { storeKeyText } from '../../src/repository/keys/store-key-text.ts';
import { initStore, type OpenedStore } from '../../src/repository/keys/store-keys.ts';
import { openDirectoryStore } from '../../src/store/directory/directory-store.ts';
import { frameOf } from '../support/stores/packs.ts';
import { restoreByPython } from '../support/stores/restore-encrypted.ts';
import { describeWithTools } from '../support/programs/tools.ts';
import type { Snapshot } from '../../src/repository/snapshot.ts';
import { publishSnapshot } from '../support/stores/publish-snapshot.ts';

const { signal } = new AbortController();
const zstd = bestZstd();
const CHUNK = 65536;
const guest = 'web [1]';
const snapshot = '20261122T030000Z-1f3a9c2e';
/** The second page begins at position 4096. */
const disks = [
  {
    name: 'web.img',
    sizeBytes: 4100 * CHUNK + 1536,
    chunks: new Map([
      [0, 'a'],
      [1, 'b'],
      [4097, 'a'],
      [4100, 'end'],
    ]),
  },
  { name: 'swap', sizeBytes: 2 * CHUNK, chunks: new Map([[1, 'b']]) },
];

let scratch: string;
let directory: string;
let secretFile: string;
let opened: OpenedStore;

function plainOf(seed: string, position: number, sizeBytes: number): Buffer {
  return Buffer.alloc(Math.min(CHUNK, sizeBytes - position * CHUNK), `chunk ${seed} `);
}

function imageOf({ sizeBytes, chunks }: (typeof disks)[number]): Buffer {
  const image = Buffer.alloc(sizeBytes);
  for (const [position, seed] of chunks) plainOf(seed, position, sizeBytes).copy(image, position * CHUNK);
  return image;
}

/** A store as after a backup, with one or two chunks in each pack. */
async function buildStore(encrypt: boolean): Promise<void> {
  const store = openDirectoryStore(directory);
  const passphrase = () => Promise.resolve('Schlüssel der Fähre');
  const cost = { N: 2 ** 14, r: 8, p: 1 };
  opened = await initStore(
    store,
    { encrypt, cost, random: randomBytes, now: () => new Date() },
    passphrase,
    signal,
  );
  const folder = new GuestFolder(store, guest, opened.seal);
  const written: Snapshot['disks'][number][] = [];
  for (const disk of disks) {
    const { name, sizeBytes } = disk;
    const grid = chunkGridFor(sizeBytes);
    const map = new ChunkMap(grid);
    const plain = new Map(
      [...disk.chunks].map(([position, seed]) => [position, plainOf(seed, position, sizeBytes)]),
    );
    for (const [position, bytes] of plain) map.set(position, chunkId(bytes));
    const [first, ...others] = plain;
    for (const chunks of [[first], others]) {
      const some = chunks.filter((one) => one !== undefined);
      if (some.length === 0) continue;
      const pack = await buildPack([frameOf(new Map(some), zstd)], opened.seal);
      await store.put(folder.nameOf('packs', pack.id), [pack.bytes], { signal });
    }
    const pages: (string | null)[] = [];
    for (let page = 0; page < pageCount(grid); page++) {
      const text = pageText(map, page);
      pages.push(text === '' ? null : (await folder.writePage(text, new Map(), signal)).id);
    }
    const owner = { mode: 0o600, uid: 0, gid: 0, modifiedMs: 0 };
    written.push({ name, sizeBytes, chunkBytes: CHUNK, fingerprint: map.fingerprint(), ...owner, pages });
  }
  await publishSnapshot(
    folder,
    {
      id: snapshot,
      guest,
      createdAt: '2026-11-22T03:00:00.000Z',
      consistency: 'halted',
      definition: {
        name: guest,
        driver: 'offline',
        memoryBytes: null,
        cpuCount: null,
        kernel: null,
        initrd: null,
        disks: [],
        commandLine: [],
      },
      host: 'oldhost',
      vmferryVersion: '0.1.0',
      disks: written,
      newBytes: 0,
    },
    signal,
  );
}

function restore() {
  const out = mkdtempSync(join(scratch, 'out-'));
  return { out, ...restoreByPython(directory, guest, snapshot, secretFile, out) };
}

function expectImages({ out, status, stderr }: ReturnType<typeof restore>): void {
  expect([stderr, status]).toEqual(['', 0]);
  for (const disk of disks) expect(readFileSync(join(out, disk.name)).equals(imageOf(disk))).toBe(true);
}

function folderOf(kind: string): string {
  return join(directory, 'guests', guest, kind);
}

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'vmferry-restore-encrypted-'));
  directory = join(scratch, 'store');
  mkdirSync(directory);
  secretFile = join(scratch, 'secret');
  // The same letters in the other normal form.
  writeFileSync(secretFile, 'Schlu\u0308ssel der Fa\u0308hre\nnot this\n');
});

afterEach(() => {
  rmSync(scratch, { recursive: true });
});

describeWithTools('restore-encrypted.py', ['python3', 'openssl', 'zstd'], () => {
  test('restores all disks with the passphrase, and with the exported key', async () => {
    await buildStore(true);
    const restored = restore();
    expectImages(restored);
    expect(restored.stdout).toMatch(/^sha256:[0-9a-f]{64} {2}web.img\nsha256:[0-9a-f]{64} {2}swap\n$/);
    writeFileSync(secretFile, storeKeyText({ storeId: opened.id, key: opened.key ?? new Uint8Array() }));
    expectImages(restore());
  });

  test('restores from a plain store, and from its trash', async () => {
    await buildStore(false);
    const [pack = ''] = readdirSync(folderOf('packs'));
    const [page = ''] = readdirSync(folderOf('maps'));
    mkdirSync(folderOf('trash/20261123T000000Z/packs'), { recursive: true });
    mkdirSync(folderOf('trash/20261123T000000Z/maps'), { recursive: true });
    renameSync(join(folderOf('packs'), pack), join(folderOf('trash/20261123T000000Z/packs'), pack));
    renameSync(join(folderOf('maps'), page), join(folderOf('trash/20261123T000000Z/maps'), page));
    expectImages(restore());
  });

  test('detects a wrong passphrase, and any damaged or lost file', async () => {
    await buildStore(true);
    const refusal = (change: () => void) => {
      change();
      const { status, stderr } = restore();
      return status === 1 ? stderr : `status ${status}`;
    };
    // Flip one bit of each file; flipping it again repairs the file.
    const flip = (kind: string) => () => {
      for (const name of readdirSync(folderOf(kind))) {
        const bytes = readFileSync(join(folderOf(kind), name));
        const middle = bytes.length >> 1;
        bytes[middle] = (bytes[middle] ?? 0) ^ 1;
        writeFileSync(join(folderOf(kind), name), bytes);
      }
    };
    expect(refusal(() => undefined)).toBe('status 0');
    expect(refusal(flip('packs'))).toMatch(/its SHA-256 is not its name[^]*chunks are missing/);
    flip('packs')();
    expect(refusal(() => forgePack())).toMatch(/its seal does not match/);
    expect(refusal(flip('maps'))).toMatch(/page .* is damaged/);
    expect(refusal(flip('snapshots'))).toMatch(/the manifest is damaged/);
    flip('snapshots')();
    expect(refusal(() => rmSync(folderOf('maps'), { recursive: true }))).toMatch(/maps.* is missing/);
    expect(refusal(() => writeFileSync(secretFile, 'another passphrase\n'))).toMatch(/opens none/);
  });
});

/** A pack that a server changed, under its new SHA-256. */
function forgePack(): void {
  for (const name of readdirSync(folderOf('packs'))) {
    const bytes = readFileSync(join(folderOf('packs'), name));
    rmSync(join(folderOf('packs'), name));
    // In the first sealed table, after the format's member (two blocks) and a header.
    bytes[512 * 3 + 40] = (bytes[512 * 3 + 40] ?? 0) ^ 1;
    writeFileSync(join(folderOf('packs'), `${createHash('sha256').update(bytes).digest('hex')}.tar`), bytes);
  }
}
