import { spawnSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { chunkId, isAllZero } from '../../../src/chunk/chunk-id.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { Failure } from '../../../src/failure.ts';
import type { BackedUpDisk } from '../../../src/operations/backup/backup-report.ts';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import { cloneRange } from '../../../src/system/native.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { startVmferry, vmferry } from '../../support/programs/command-line.ts';
import { failureOf } from '../../support/failures.ts';
import {
  extVariant,
  filesInExt,
  imageTools,
  makeExtImage,
  patchFile,
  runTool,
  seededBytes,
} from '../../support/images/images.ts';
import { mountingMissing, mountNew, type MountedKind } from '../../support/images/reflink-file-system.ts';
import { expectSoundXfs, filesInXfs, liveIn, makeXfs, withMounted } from '../../support/images/xfs-image.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';
import { describeUnless, toolsMissing } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const CHUNK = 65_536;
/** Unchanged chunks that are read as a sample. */
const SAMPLE_BYTES = 64 * CHUNK;
const DAY_MS = 24 * 3600 * 1000;

let world: BackupWorld;
let mounted: ReturnType<typeof mountNew>;
let image: string;

function begin(kind: MountedKind): void {
  world = new BackupWorld();
  mounted = mountNew(kind);
  image = join(mounted.path, 'disk.img');
}

async function end(): Promise<void> {
  await world[Symbol.asyncDispose]();
  mounted[Symbol.dispose]();
}

/** A file without a known file system: all of it is backed up. */
function makeDisk(sizeBytes = 24 * MIB): void {
  writeFileSync(image, seededBytes(sizeBytes, sizeBytes));
}

const sizeOf = (path: string): number => statSync(path).size;
const filesBeside = (): string[] => readdirSync(mounted.path).filter((name) => name.includes('vmferry'));
const bases = (): string[] => filesBeside().filter((name) => name.endsWith('.base'));

/** All warnings except those about disks without a known file system. */
const warnings = (): string[] =>
  world.warnings.filter((message) => !message.startsWith('All allocated blocks'));

interface OneBackup {
  disk: BackedUpDisk;
  snapshot: string;
  newPlainBytes: number;
}

async function backup(options: Parameters<BackupWorld['backup']>[1] = {}): Promise<OneBackup> {
  const { guests } = await world.backup(image, options);
  const [guest] = guests;
  const disk = guest?.disks[0];
  if (guest === undefined || disk === undefined) throw new Error('there is no snapshot');
  const { sizeBytes, readBytes, unchangedBytes, holeBytes, freeBytes } = disk;
  expect(readBytes + unchangedBytes + holeBytes + freeBytes).toBe(sizeBytes);
  return { disk, snapshot: guest.snapshot, newPlainBytes: guest.newPlainBytes };
}

/** Makes a backup, and compares its fingerprint with that of the whole image. */
async function soundBackup(options: Parameters<typeof backup>[0] = {}): Promise<OneBackup> {
  const made = await backup(options);
  const bytes = readFileSync(image);
  const map = new ChunkMap(chunkGridFor(bytes.length));
  for (let position = 0; position < map.grid.chunkCount; position++) {
    const chunk = bytes.subarray(position * CHUNK, (position + 1) * CHUNK);
    if (!isAllZero(chunk)) map.set(position, chunkId(chunk));
  }
  expect(made.disk.fingerprint).toBe(map.fingerprint());
  return made;
}

function expectRestored({ snapshot }: OneBackup): void {
  const restored = join(world.restoreByScript('disk.img', snapshot), 'disk.img');
  expect(readFileSync(restored).equals(readFileSync(image))).toBe(true);
}

const missing = (kind: MountedKind) =>
  mountingMissing(kind) ?? toolsMissing(...imageTools, 'xfs_repair', 'zstd', 'tar', 'fallocate');

for (const kind of ['xfs', 'btrfs'] as const)
  describeUnless(missing(kind), `a second backup of an image on ${kind}`, () => {
    beforeEach(() => begin(kind));
    afterEach(end);

    test('reads only what has changed, and a sample of the rest', async () => {
      makeDisk();
      expect((await soundBackup()).disk).toMatchObject({ readBytes: 24 * MIB, unchangedBytes: 0 });
      const same = await soundBackup();
      expect(same.disk.readBytes).toBe(SAMPLE_BYTES);
      expect(same.newPlainBytes).toBe(0);
      // Three changes, two of them in one chunk, one beside it.
      for (const offset of [5 * MIB, 5 * MIB + 4096, 5 * MIB + CHUNK])
        patchFile(image, offset, seededBytes(8, 100));
      const changed = await soundBackup();
      expect(changed.disk.readBytes).toBe(SAMPLE_BYTES + 2 * CHUNK);
      expect(changed.newPlainBytes).toBe(2 * CHUNK);
      // A hole where there was data, and data where there was a hole.
      runTool('fallocate', ['-p', '-o', String(9 * MIB), '-l', String(2 * CHUNK), image]);
      expect((await soundBackup()).disk.readBytes).toBe(SAMPLE_BYTES);
      patchFile(image, 9 * MIB + 5000, Buffer.from('here'));
      const last = await soundBackup();
      expect(last.newPlainBytes).toBe(CHUNK);
      expectRestored(last);
      expect(warnings()).toEqual([]);
      expect(filesBeside()).toEqual([expect.stringMatching(/^\.disk\.img\.vmferry-.*\.base$/)]);
    });

    test('holds what the image holds after any changes', async () => {
      const seed = testSeed();
      const random = seededRandom(seed);
      const size = 16 * MIB;
      const at = (alignment: number) => Math.floor((random() * size) / 2 / alignment) * alignment;
      const range = () => ['-o', String(at(4096)), '-l', String(CHUNK * (1 + Math.floor(random() * 8)))];
      const changes = [
        () => patchFile(image, at(1), seededBytes(1 + at(1), 1 + Math.floor(random() * 200_000))),
        () => patchFile(image, at(512), Buffer.alloc(300_000)),
        () => runTool('fallocate', ['-p', ...range(), image]),
        () => runTool('fallocate', ['-z', ...range(), image]),
        () => shareBlocks(at(4096), at(4096), CHUNK + 4096),
        () => {
          runTool('cp', ['--reflink=never', image, `${image}.new`]);
          runTool('mv', [`${image}.new`, image]);
        },
      ];
      makeDisk(size);
      await backup();
      let unchangedBytes = 0;
      for (let round = 0; round < 12; round++) {
        const names: number[] = [];
        for (let count = 0; count <= random() * 3; count++) {
          names.push(Math.floor(random() * changes.length));
          changes[names.at(-1) ?? 0]?.();
        }
        const made = await soundBackup().catch((cause: unknown) => {
          throw new Error(`round ${round} of VMFERRY_TEST_SEED=${seed}: ${names.join(', ')}`, { cause });
        });
        unchangedBytes += made.disk.unchangedBytes;
      }
      expect(unchangedBytes).toBeGreaterThan(0);
      expect(warnings()).toEqual([]);
    });

    test('of an image of another size reads all of it', async () => {
      for (const sizeBytes of [12 * MIB, 12 * MIB + 512, 7 * MIB + 1024]) {
        runTool('truncate', ['-s', String(sizeBytes), image]);
        patchFile(image, 0, seededBytes(5, 6 * MIB));
        expect((await soundBackup()).disk.unchangedBytes).toBe(0);
      }
      expect(bases()).toHaveLength(1);
    });

    test('finds the free blocks of image and base in the bitmaps of each', async () => {
      makeExtImage(image, extVariant('ext4, 1 KiB'));
      const { disk } = await backup();
      expect((await backup()).disk.unchangedBytes).toBeGreaterThan(disk.readBytes / 2);
      // A free block now holds a file, and a used one is free, though both have kept their places on the disk.
      const before = filesInExt(image);
      runTool('debugfs', ['-w', '-R', 'rm /late', image]);
      runTool('e2fsck', ['-fp', image]);
      const { disk: changed, snapshot } = await backup();
      expect(changed.unchangedBytes).toBeGreaterThan(0);
      const restored = join(world.restoreByScript('disk.img', snapshot), 'disk.img');
      before.delete('/late');
      expect(filesInExt(restored)).toEqual(before);
      const { disk: whole } = await backup({ keepClones: false });
      expect(whole.unchangedBytes).toBe(0);
      expect(whole.fingerprint).toBe(changed.fingerprint);
    });

    test('sends unchanged chunks that the store has lost', async () => {
      makeDisk();
      await backup();
      const packs = join(world.storePath, 'guests', 'disk.img', 'packs');
      const bySize = readdirSync(packs).sort((a, b) => sizeOf(join(packs, a)) - sizeOf(join(packs, b)));
      rmSync(join(packs, bySize.at(-1) ?? ''));
      const { disk, newPlainBytes } = await soundBackup();
      expect(newPlainBytes).toBeGreaterThan(MIB);
      expect(disk.unchangedBytes).toBeGreaterThan(MIB);
      const manifests = join(world.storePath, 'guests', 'disk.img', 'snapshots');
      for (const name of readdirSync(manifests)) rmSync(join(manifests, name));
      expect((await soundBackup()).disk.unchangedBytes).toBe(0);
      expect(bases()).toHaveLength(1);
    });

    test('detects a wrong base', async () => {
      makeDisk();
      await backup();
      const [base = ''] = bases();
      // The whole image has changed, and a clone of it has the name of the snapshot's base.
      patchFile(image, 0, seededBytes(77, 20 * MIB));
      runTool('cp', ['--reflink=always', image, join(mounted.path, base)]);
      const { disk } = await soundBackup();
      expect(disk).toMatchObject({ readBytes: 24 * MIB, unchangedBytes: 0 });
      expect(warnings()).toEqual([expect.stringContaining('All of the image is read')]);
      expect(bases()).toEqual([expect.not.stringContaining(base)]);
      expect((await soundBackup()).disk.readBytes).toBe(SAMPLE_BYTES);
      expect(warnings()).toHaveLength(1);
    });

    test('does not use a base of another user', async () => {
      makeDisk(8 * MIB);
      await backup();
      chownSync(join(mounted.path, bases()[0] ?? ''), 1234, 1234);
      expect((await soundBackup()).disk.unchangedBytes).toBe(0);
      expect((await soundBackup()).disk.unchangedBytes).toBe(8 * MIB - SAMPLE_BYTES);
    });

    test('keeps no base with --no-clone, or if the backup fails', async () => {
      makeDisk();
      await backup({ everyBlock: true });
      expect(filesBeside()).toEqual([]);
      await backup();
      const kept = bases();
      expect((await soundBackup({ everyBlock: true })).disk.unchangedBytes).toBe(0);
      const store = openDirectoryStore(world.storePath);
      store.rename = () => Promise.reject(new Failure('target-full', 'It cannot be published.'));
      await failureOf(() => backup({ store }));
      expect(filesBeside()).toEqual(kept);
      const args = ['backup', image, '--to', world.storePath, '--no-clone', '--json'];
      const { stdout } = await vmferry(args, { VMFERRY_STATE_DIR: join(world.path, 'state') });
      expect(stdout).toContain('"unchangedBytes":0,');
      expect(filesBeside()).toEqual([]);
      expect((await soundBackup()).disk.unchangedBytes).toBe(0);
    });

    test('compares with the base of its store; other stores’ bases go after a month', async () => {
      makeDisk();
      await backup();
      const other = join(world.path, 'other');
      mkdirSync(other);
      const store = openDirectoryStore(other);
      expect((await backup({ store })).disk.unchangedBytes).toBe(0);
      expect(bases()).toHaveLength(2);
      patchFile(image, MIB, Buffer.from('changed'));
      expect((await soundBackup()).disk.unchangedBytes).toBeGreaterThan(0);
      expect((await backup({ store })).disk.unchangedBytes).toBeGreaterThan(0);
      world.dependencies.now = () => new Date(Date.now() + 29 * DAY_MS);
      await backup();
      expect(bases()).toHaveLength(2);
      world.dependencies.now = () => new Date(Date.now() + 31 * DAY_MS);
      expect((await soundBackup()).disk.unchangedBytes).toBeGreaterThan(0);
      expect(bases()).toHaveLength(1);
      world.dependencies.version = '0.0.1';
      expect((await soundBackup()).disk.unchangedBytes).toBe(0);
    });

    test('that is killed leaves no base, and its leftovers are removed later', async () => {
      makeDisk(200 * MIB);
      await world.session();
      const { child, ended } = startVmferry(['backup', image, '--to', world.storePath], {
        VMFERRY_STATE_DIR: join(world.path, 'state'),
      });
      const packs = join(world.storePath, 'guests', 'disk.img', 'packs');
      while (!namesIn(packs).some((name) => name.endsWith('.tar'))) await new Promise(setImmediate);
      child.kill('SIGKILL');
      await ended;
      expect(filesBeside()).toEqual([expect.stringMatching(/\.clone$/)]);
      await backup();
      expect(filesBeside()).toEqual(bases());
      expect(bases()).toHaveLength(1);
      expect(warnings()).toEqual([expect.stringContaining('left by a vmferry that was killed')]);
    });

    test('reads all if the base is on another file system, or no base can be named', async () => {
      makeDisk(8 * MIB);
      await backup();
      const base = join(mounted.path, bases()[0] ?? '');
      const elsewhere = join(world.path, 'elsewhere');
      runTool('cp', [base, elsewhere]);
      runTool('mount', ['--bind', elsewhere, base]);
      try {
        expect((await soundBackup()).disk.unchangedBytes).toBe(0);
      } finally {
        runTool('umount', [base]);
      }
      const long = join(mounted.path, 'x'.repeat(200));
      runTool('mv', [image, long]);
      for (const _ of [1, 2]) expect((await world.backup(long)).guests[0]?.disks[0]?.unchangedBytes).toBe(0);
      expect(filesBeside().filter((name) => name.startsWith('.xxx'))).toEqual([]);
      expect(warnings()).toEqual([]);
    });
  });

/** Makes one part of the image share the blocks of another. */
function shareBlocks(from: number, to: number, length: number): void {
  const fd = openSync(image, 'r+');
  const isApart = Math.abs(from - to) >= length;
  if (isApart) cloneRange({ sourceFd: fd, sourceOffset: from, length, targetFd: fd, targetOffset: to });
  closeSync(fd);
}

function namesIn(directory: string): string[] {
  const { stdout } = spawnSync('ls', ['-a', directory], { encoding: 'utf8' });
  return stdout.split('\n');
}

describeUnless(missing('xfs'), 'a second backup of an image that holds an XFS', () => {
  beforeEach(() => begin('xfs'));
  afterEach(end);

  test('finds the free blocks of an XFS in image and base', async () => {
    makeXfs(image);
    withMounted(image, liveIn);
    const { disk } = await backup();
    expect(disk.freeBytes).toBeGreaterThan(disk.readBytes);
    withMounted(image, (directory) => {
      writeFileSync(join(directory, 'late'), seededBytes(5, MIB));
      rmSync(join(directory, 'file-599'));
    });
    const after = filesInXfs(image);
    const { disk: changed, snapshot } = await backup();
    expect(changed.unchangedBytes).toBeGreaterThan(0);
    const restored = join(world.restoreByScript('disk.img', snapshot), 'disk.img');
    expectSoundXfs(restored);
    expect(filesInXfs(restored)).toEqual(after);
    expect(after.size).toBe(300);
    expect(warnings()).toEqual([]);
  });
});

describeUnless(missing('btrfs'), 'a second backup of a file on btrfs', () => {
  beforeEach(() => begin('btrfs'));
  afterEach(end);

  test('reads all of a compressed file', async () => {
    closeSync(openSync(image, 'w'));
    runTool('chattr', ['+c', image]);
    writeFileSync(image, 'a line that compresses\n'.repeat(MIB).slice(0, 16 * MIB));
    await soundBackup();
    expect((await soundBackup()).disk.unchangedBytes).toBe(0);
    expect(bases()).toHaveLength(1);
  });

  test('reads only the changes of a file without copy on write', async () => {
    closeSync(openSync(image, 'w'));
    runTool('chattr', ['+C', image]);
    makeDisk();
    for (let round = 0; round < 3; round++) {
      await soundBackup();
      patchFile(image, 7 * MIB, seededBytes(round + 1, 1000));
      expect((await soundBackup()).disk.readBytes).toBe(SAMPLE_BYTES + CHUNK);
    }
  });
});

describeUnless(missing('ext4'), 'a second backup without reflinks', () => {
  beforeEach(() => begin('ext4'));
  afterEach(end);

  test('reads all, and leaves nothing beside the image', async () => {
    makeDisk(MIB);
    for (const _ of [1, 2])
      expect((await soundBackup()).disk).toMatchObject({ readBytes: MIB, unchangedBytes: 0 });
    expect(filesBeside()).toEqual([]);
    expect(warnings()).toEqual([]);
  });
});
