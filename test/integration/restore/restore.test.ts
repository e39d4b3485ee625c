import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { failureOf } from '../../support/failures.ts';
import { seededBytes } from '../../support/images/images.ts';
import { restoreWhole, storedFiles } from '../../support/stores/restoring.ts';
import { fileSha256, sparseImages, writeSparseImage } from '../../support/images/sparse-images.ts';
import { storeSnapshot } from '../../support/stores/stored-snapshots.ts';

const MIB = 2 ** 20;
/** Blocks of metadata that a file system may take for the extents of a ragged file. */
const METADATA_BYTES = 256 * 1024;

let world: BackupWorld;
let image: string;
let target: string;

beforeEach(() => {
  world = new BackupWorld();
  image = join(world.path, 'disk.img');
  target = join(world.path, 'back', 'restored.img');
  mkdirSync(dirname(target));
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

function allocatedBytes(path: string): number {
  return statSync(path).blocks * 512;
}

async function expectSame(path: string, original = image): Promise<void> {
  expect(await fileSha256(path)).toBe(await fileSha256(original));
}

describe('a restore to a new file', () => {
  test('restores images of many shapes exactly, with their holes', async () => {
    let number = 0;
    await fc.assert(
      fc.asyncProperty(sparseImages(40_963), async (shape) => {
        const path = join(world.path, `shape${number}.img`);
        const restored = `${target}.${number++}`;
        writeSparseImage(path, shape);
        const { guests } = await world.backup(path);
        const { disks } = await restoreWhole(world, guests[0]?.guest ?? '', restored);
        await expectSame(restored, path);
        expect(statSync(restored).size).toBe(shape.sectors * 512);
        expect(allocatedBytes(restored)).toBeLessThanOrEqual(allocatedBytes(path) + METADATA_BYTES);
        expect(disks[0]).toMatchObject({
          fingerprint: guests[0]?.disks[0]?.fingerprint,
          unchangedBytes: 0,
          missing: [],
        });
      }),
      { numRuns: 15, seed: Number(process.env['VMFERRY_TEST_SEED'] ?? 20_261_122), endOnFailure: true },
    );
  });

  test('keeps mode and time, and leaves nothing beside it', async () => {
    writeFileSync(image, seededBytes(1, 3 * MIB));
    chmodSync(image, 0o640);
    utimesSync(image, 1_700_000_000, 1_700_000_000);
    await world.backup(image);
    const report = await restoreWhole(world, 'disk.img', target);
    expect(statSync(target).mode & 0o777).toBe(0o640);
    expect(statSync(target).mtimeMs).toBe(1_700_000_000_000);
    expect(readdirSync(dirname(target))).toEqual(['restored.img']);
    expect(report).toMatchObject({
      type: 'restored',
      guest: 'disk.img',
      consistency: 'halted',
      started: null,
    });
  });

  test('reads each frame once, wherever its chunks go', async () => {
    const piece = seededBytes(5, MIB);
    writeFileSync(image, Buffer.concat([piece, piece, Buffer.alloc(MIB), piece, piece]));
    const { guests } = await world.backup(image);
    const { disks } = await restoreWhole(world, 'disk.img', target);
    await expectSame(target);
    expect(disks[0]?.writtenBytes).toBe(4 * MIB);
    expect(disks[0]?.readFromStoreBytes).toBeLessThanOrEqual(guests[0]?.newBytes ?? 0);
    expect(disks[0]?.readFromStoreBytes).toBeLessThan(1.1 * MIB);
  });

  test('reads from many packs only what one snapshot needs', async () => {
    writeFileSync(image, seededBytes(2, 24 * MIB));
    await world.backup(image);
    const changed = readFileSync(image);
    for (let at = 0; at < changed.length; at += 2 * MIB) changed.fill(at / MIB + 1, at, at + 100);
    writeFileSync(image, changed);
    await world.backup(image);
    const { disks } = await restoreWhole(world, 'disk.img', target);
    await expectSame(target);
    expect(disks[0]?.readFromStoreBytes).toBeLessThan(27 * MIB);
  });

  test('of an encrypted store', async () => {
    await using encrypted = new BackupWorld({ encrypt: true });
    const path = join(encrypted.path, 'disk.img');
    writeFileSync(path, seededBytes(7, 5 * MIB));
    await encrypted.backup(path);
    await restoreWhole(encrypted, 'disk.img', `${path}.back`);
    await expectSame(`${path}.back`, path);
  });

  test('of an older snapshot', async () => {
    writeFileSync(image, seededBytes(1, 2 * MIB));
    const first = (await world.backup(image)).guests[0]?.snapshot ?? '';
    const was = await fileSha256(image);
    writeFileSync(image, seededBytes(2, 2 * MIB));
    await world.backup(image);
    await restoreWhole(world, `disk.img@${first}`, target);
    expect(await fileSha256(target)).toBe(was);
  });

  test('reports its progress', async () => {
    writeFileSync(image, seededBytes(1, 9 * MIB));
    await world.backup(image);
    world.events.length = 0;
    await restoreWhole(world, 'disk.img', target);
    for (const stage of ['restore', 'verify']) {
      const progress = world.events.filter((event) => event.type === 'progress' && event.stage === stage);
      expect(progress.at(-1)).toMatchObject({ doneBytes: 9 * MIB, totalBytes: 9 * MIB });
    }
  });

  test.each(['there is a file', 'there is a partial file of somebody'])('is refused if %s', async (what) => {
    writeFileSync(image, seededBytes(1, MIB));
    await world.backup(image);
    const stranger = what === 'there is a file' ? target : `${target}.partial`;
    writeFileSync(stranger, 'precious');
    expect((await failureOf(() => restoreWhole(world, 'disk.img', target))).code).toBe('target-exists');
    expect(readFileSync(stranger, 'utf8')).toBe('precious');
    expect(readdirSync(dirname(target))).toHaveLength(1);
  });

  test('is refused if there is no directory, or no such snapshot', async () => {
    writeFileSync(image, seededBytes(1, MIB));
    await world.backup(image);
    const nowhere = join(world.path, 'nowhere', 'x.img');
    expect((await failureOf(() => restoreWhole(world, 'disk.img', nowhere))).code).toBe('target-missing');
    expect((await failureOf(() => restoreWhole(world, 'other', target))).code).toBe('snapshot-missing');
    expect((await failureOf(() => restoreWhole(world, 'disk.img@2020-01-01', target))).code).toBe(
      'snapshot-missing',
    );
  });
});

describe('what a prune has moved to the trash', () => {
  test('is read there, and stays there', async () => {
    writeFileSync(image, seededBytes(3, 4 * MIB));
    await world.backup(image);
    const trash = join(world.storePath, 'guests', 'disk.img', 'trash', '20261122T050000Z');
    for (const kind of ['packs', 'maps'] as const) {
      mkdirSync(join(trash, kind), { recursive: true });
      for (const file of storedFiles(world, 'disk.img', kind))
        renameSync(file, join(trash, kind, file.split('/').at(-1) ?? ''));
    }
    await restoreWhole(world, 'disk.img', target);
    await expectSame(target);
    expect(storedFiles(world, 'disk.img', 'packs')).toEqual([]);
  });

  test('is found there even if it is moved while it is read', async () => {
    writeFileSync(image, seededBytes(3, 24 * MIB));
    await world.backup(image);
    const packs = storedFiles(world, 'disk.img', 'packs');
    const trash = join(world.storePath, 'guests', 'disk.img', 'trash', '20261122T050000Z', 'packs');
    const directory = openDirectoryStore(world.storePath);
    let reads = 0;
    const moving = Object.assign(Object.create(directory) as typeof directory, {
      get: (...args: Parameters<typeof directory.get>) => {
        // After the first pack was asked for.
        if (args[0].includes('/packs/') && reads++ === 0) {
          mkdirSync(trash, { recursive: true });
          for (const file of packs.slice(0, -1)) renameSync(file, join(trash, file.split('/').at(-1) ?? ''));
        }
        return directory.get(...args);
      },
      list: (...args: Parameters<typeof directory.list>) => directory.list(...args),
      location: directory.location,
    });
    await restoreWhole(world, 'disk.img', target, { store: moving });
    expect(reads).toBeGreaterThan(1);
    await expectSame(target);
  });
});

test('lost index files lose nothing', async () => {
  writeFileSync(image, seededBytes(3, 20 * MIB));
  await world.backup(image);
  for (const file of storedFiles(world, 'disk.img', 'index')) rmSync(file);
  await restoreWhole(world, 'disk.img', target);
  await expectSame(target);
});

describe('a guest of several disks', () => {
  const disks = [
    { name: 'root.img', image: Buffer.from(seededBytes(1, MIB)) },
    { name: 'data.img', image: Buffer.concat([Buffer.alloc(MIB), seededBytes(2, MIB + 512)]) },
  ];

  beforeEach(async () => {
    const folder = (await world.session()).folder('web');
    await storeSnapshot(folder, disks, new Date('2026-11-22T03:00:00Z'));
  });

  test('is restored into a directory', async () => {
    const report = await restoreWhole(world, 'web', `${dirname(target)}/`);
    expect(report.disks.map(({ name, target: path }) => [name, path])).toEqual(
      disks.map(({ name }) => [name, join(dirname(target), name)]),
    );
    for (const { name, image: bytes } of disks)
      expect(readFileSync(join(dirname(target), name)).equals(bytes)).toBe(true);
  });

  test('is restored one disk alone', async () => {
    await restoreWhole(world, 'web', target, { disk: 'data.img' });
    expect(readFileSync(target).equals(disks[1]?.image ?? Buffer.alloc(0))).toBe(true);
  });

  test('is not restored to a single file, nor a disk that it does not have', async () => {
    const onto = await failureOf(() => restoreWhole(world, 'web', target));
    expect([onto.code, onto.advice]).toEqual(['usage', expect.stringContaining('root.img, data.img')]);
    expect((await failureOf(() => restoreWhole(world, 'web', target, { disk: 'x' }))).code).toBe('usage');
    expect(existsSync(target)).toBe(false);
  });

  test('leaves no new disk if one of them cannot be made', async () => {
    writeFileSync(join(dirname(target), 'data.img'), 'precious');
    const failure = await failureOf(() => restoreWhole(world, 'web', dirname(target)));
    expect(failure.code).toBe('target-exists');
    expect(readdirSync(dirname(target))).toEqual(['data.img']);
  });
});
