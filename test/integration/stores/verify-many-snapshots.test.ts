import { createHash, hash } from 'node:crypto';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { ChunkMap, chunkMapText } from '../../../src/chunk/chunk-map.ts';
import { noSeal } from '../../../src/seal/seal-for.ts';
import type { IndexedPack } from '../../../src/repository/chunk-index/chunk-index.ts';
import {
  pageCount,
  pageText,
  POSITIONS_PER_PAGE,
} from '../../../src/repository/chunk-index/chunk-map-page.ts';
import { GuestFolder } from '../../../src/repository/guest-folder.ts';
import { snapshotId } from '../../../src/repository/files/snapshot-id.ts';
import { markerText } from '../../../src/repository/keys/store-marker.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import { peakModule, vmferry } from '../../support/programs/command-line.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { publishSnapshot } from '../../support/stores/publish-snapshot.ts';

const SNAPSHOTS = 200;
const CHUNKS = 100_000;
const CHANGES = 10;
const MOST_BYTES = 300 * 2 ** 20;
const { signal } = new AbortController();

test(`${SNAPSHOTS} snapshots of 1 TiB with ${CHUNKS} chunks are listed and verified in less than 300 MB`, async () => {
  using scratch = scratchDirectory();
  const storePath = join(scratch.path, 'store');
  await makeStore(storePath);
  const listed = await measured(['list', storePath, '--json'], scratch.path);
  expect(listed.result.guests[0]?.snapshots).toHaveLength(SNAPSHOTS);
  expect(listed.peakBytes).toBeLessThan(MOST_BYTES);
  const verified = await measured(['verify', storePath, '--json'], scratch.path);
  expect(verified.result).toMatchObject({
    type: 'verified',
    isDamaged: false,
    guests: [{ snapshots: SNAPSHOTS, damaged: [], problems: [] }],
  });
  expect(verified.peakBytes).toBeLessThan(MOST_BYTES);
}, 300_000);

interface Printed {
  type: string;
  guests: { snapshots: unknown }[];
}

/** Runs vmferry in a process of its own that prints its peak memory at the end. */
async function measured(
  args: readonly string[],
  home: string,
): Promise<{ result: Printed; peakBytes: number }> {
  const peakFile = join(home, 'peak');
  const { stdout } = await vmferry(args, {
    NODE_OPTIONS: `--import=${peakModule}`,
    VMFERRY_TEST_PEAK_FILE: peakFile,
    HOME: home,
    VMFERRY_STATE_DIR: home,
  });
  const last = stdout.trim().split('\n').at(-1) ?? '';
  return { result: JSON.parse(last) as Printed, peakBytes: Number(readFileSync(peakFile, 'utf8')) };
}

/** Packs are sparse files: nothing here reads them. */
async function makeStore(path: string): Promise<void> {
  mkdirSync(path);
  writeFileSync(join(path, 'vmferry-store.json'), markerText({ id: 'ab'.repeat(16), encryption: null }));
  const folder = new GuestFolder(openDirectoryStore(path), 'web', noSeal);
  const random = seededRandom(1);
  const map = new ChunkMap(chunkGridFor(2 ** 40));
  const header = [...chunkMapText(map)].join('');
  let fresh: Uint8Array[] = [];
  const changedPages = new Set(Array.from({ length: pageCount(map.grid) }, (_, page) => page));
  const change = () => {
    const id = hash('sha256', String(random()), 'buffer');
    const position = Math.floor(random() * map.grid.chunkCount);
    map.set(position, id);
    fresh.push(id);
    changedPages.add(Math.floor(position / POSITIONS_PER_PAGE));
  };
  for (let count = 0; count < CHUNKS; count++) change();
  // Ids by page: only changed pages are written again.
  const ids: string[] = [];
  const texts: Buffer[] = [];
  for (let number = 0; number < SNAPSHOTS; number++) {
    for (let count = 0; count < CHANGES; count++) change();
    await storeChunks(folder, path, fresh, map.grid.chunkBytes);
    fresh = [];
    for (const page of changedPages) {
      const text = pageText(map, page);
      texts[page] = Buffer.from(text);
      ids[page] = (await folder.writePage(text, new Map(), signal)).id;
    }
    changedPages.clear();
    const fingerprint = createHash('sha256').update(header);
    for (const text of texts) fingerprint.update(text);
    const at = new Date(Date.UTC(2026, 0, 1 + number));
    await publishSnapshot(
      folder,
      {
        id: snapshotId(at, '00000'),
        guest: 'web',
        createdAt: at.toISOString(),
        consistency: 'halted',
        definition: {
          name: 'web',
          driver: 'offline',
          memoryBytes: null,
          cpuCount: null,
          kernel: null,
          initrd: null,
          disks: [{ device: 'disk0', path: '/srv/web.img', readOnly: false }],
          commandLine: [],
        },
        host: 'old.example',
        vmferryVersion: '0.2.0',
        disks: [
          {
            name: 'web.img',
            sizeBytes: map.grid.imageBytes,
            chunkBytes: map.grid.chunkBytes,
            fingerprint: `sha256:${fingerprint.digest('hex')}`,
            mode: 0o600,
            uid: 0,
            gid: 0,
            modifiedMs: 0,
            pages: [...ids],
          },
        ],
        newBytes: 0,
      },
      signal,
    );
  }
}

async function storeChunks(folder: GuestFolder, path: string, ids: readonly Uint8Array[], length: number) {
  const packs: IndexedPack[] = [];
  for (let first = 0; first < ids.length; first += 50) {
    const some = ids.slice(first, first + 50);
    const id = hash('sha256', Buffer.concat(some), 'hex');
    const file = join(path, folder.nameOf('packs', id));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '');
    // As in any pack, each frame has two members, its table and its bytes, and a chunk of 1 MiB is a frame of its own.
    const frames = some.map((ids, frame) => ({
      offsetBytes: 1024 + 2048 * frame + 1536,
      sizeBytes: 512,
      chunks: { ids, lengths: Uint32Array.of(length) },
    }));
    const sizeBytes = 1024 + 2048 * some.length + 1024;
    truncateSync(file, sizeBytes);
    packs.push({ id, sizeBytes, frames });
  }
  await folder.writeIndex(packs, signal);
}
