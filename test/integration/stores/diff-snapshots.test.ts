import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { diffSnapshots } from '../../../src/operations/stores/diff-snapshots.ts';
import type { GuestFolder } from '../../../src/repository/guest-folder.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { codeOf } from '../../support/failures.ts';
import { seededBytes } from '../../support/images/images.ts';
import { storedFiles } from '../../support/stores/restoring.ts';
import { storeSnapshot, type StoredDisk } from '../../support/stores/stored-snapshots.ts';

const MIB = 2 ** 20;
const CHUNK = 64 * 1024;

let world: BackupWorld;
let folder: GuestFolder;
let day = 20;

beforeEach(async () => {
  world = new BackupWorld();
  folder = (await world.session()).folder('web');
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

async function store(...disks: readonly StoredDisk[]): Promise<string> {
  return (await storeSnapshot(folder, disks, new Date(Date.UTC(2026, 10, day++)))).id;
}

async function diff(from: string, to: string) {
  return diffSnapshots({ guest: 'web', from, to }, await world.session(), world.context());
}

test('finds what was changed, added and removed, and where', async () => {
  const before = Buffer.alloc(20 * MIB);
  before.set(seededBytes(1, 2 * MIB));
  before.set(seededBytes(2, MIB), 10 * MIB);
  const after = Buffer.from(before);
  after.fill(1, MIB, MIB + CHUNK + 1);
  after.fill(2, 5 * MIB, 5 * MIB + 10);
  after.fill(0, 10 * MIB, 11 * MIB);
  const first = await store({ name: 'web.img', image: before });
  const second = await store({ name: 'web.img', image: after });
  const { disks, from, to } = await diff(first, 'latest');
  expect([from, to]).toEqual([first, second]);
  expect(disks).toEqual([
    {
      name: 'web.img',
      fromBytes: 20 * MIB,
      toBytes: 20 * MIB,
      changedBytes: 2 * CHUNK,
      addedBytes: CHUNK,
      removedBytes: MIB,
      ranges: [
        { offset: MIB, length: 2 * CHUNK, difference: 'changed' },
        { offset: 5 * MIB, length: CHUNK, difference: 'added' },
        { offset: 10 * MIB, length: MIB, difference: 'removed' },
      ],
    },
  ]);
  expect((await diff(first, first)).disks[0]).toMatchObject({ changedBytes: 0, ranges: [] });
});

test('reads only the pages that differ', async () => {
  const pageBytes = 4096 * CHUNK;
  const before = Buffer.alloc(2 * pageBytes);
  before.set(seededBytes(1, MIB));
  before.set(seededBytes(2, MIB), pageBytes);
  const first = await store({ name: 'web.img', image: before });
  const shared = storedFiles(world, 'web', 'maps');
  const after = Buffer.from(before);
  after.fill(3, pageBytes + 5, pageBytes + 6);
  const second = await store({ name: 'web.img', image: after });
  const snapshot = await folder.readSnapshot(first, new AbortController().signal);
  const same = snapshot.disks[0]?.pages[0] ?? '';
  rmSync(shared.find((file) => file.includes(same)) ?? '');
  const ranges = [{ offset: pageBytes, length: CHUNK, difference: 'changed' }];
  expect((await diff(first, second)).disks[0]?.ranges).toEqual(ranges);

  // Pages are also read from the trash; a page that is nowhere is an error.
  const trash = join(world.storePath, 'guests', 'web', 'trash', '20261122T050000Z', 'maps');
  mkdirSync(trash, { recursive: true });
  for (const file of storedFiles(world, 'web', 'maps')) renameSync(file, join(trash, basename(file)));
  expect((await diff(first, second)).disks[0]?.ranges).toEqual(ranges);
  rmSync(trash, { recursive: true });
  expect(await codeOf(() => diff(first, second))).toBe('store-damaged');
});

test('compares disks that grew, were added or were removed', async () => {
  const root = Buffer.from(seededBytes(1, MIB + 512));
  const grown = Buffer.concat([root, Buffer.alloc(CHUNK - 512), seededBytes(2, CHUNK)]);
  const first = await store({ name: 'root.img', image: root }, { name: 'old.img', image: root });
  const second = await store({ name: 'root.img', image: grown }, { name: 'new.img', image: root });
  const { disks } = await diff(first, second);
  expect(disks).toMatchObject([
    {
      name: 'root.img',
      fromBytes: MIB + 512,
      toBytes: MIB + 2 * CHUNK,
      // The last chunk was short, and now has its full length.
      ranges: [
        { offset: MIB, length: CHUNK, difference: 'changed' },
        { offset: MIB + CHUNK, length: CHUNK, difference: 'added' },
      ],
    },
    { name: 'old.img', toBytes: null, removedBytes: MIB + 512 },
    { name: 'new.img', fromBytes: null, addedBytes: MIB + 512 },
  ]);
});
