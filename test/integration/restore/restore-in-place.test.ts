import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openDirectoryStore } from '../../../src/store/directory/directory-store.ts';
import { BackupWorld } from '../../support/stores/backup-world.ts';
import { FaultyStore } from '../../support/stores/faulty-store.ts';
import { failureOf } from '../../support/failures.ts';
import { makeGarbageFile, patchFile, runTool, seededBytes } from '../../support/images/images.ts';
import { attachLoopDevice, loopDevicesMissing, mountDevice } from '../../support/images/loop-device.ts';
import { restoreWhole } from '../../support/stores/restoring.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';
import { fileSha256 } from '../../support/images/sparse-images.ts';
import { describeUnless } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const CHUNK = 64 * 1024;

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

/** 4 MiB of noise, 4 of nothing, 4 of noise and a bit. */
async function backedUpDisk(): Promise<void> {
  const noise = Buffer.from(seededBytes(1, 8 * MIB + 1536));
  writeFileSync(
    image,
    Buffer.concat([noise.subarray(0, 4 * MIB), Buffer.alloc(4 * MIB), noise.subarray(4 * MIB)]),
  );
  await world.backup(image);
}

async function expectSame(path: string): Promise<void> {
  expect(await fileSha256(path)).toBe(await fileSha256(image));
}

describe('a restore onto an old copy', () => {
  test('reads and writes only what differs', async () => {
    await backedUpDisk();
    const copy = readFileSync(image);
    copy.fill(7, MIB, MIB + 10);
    copy.fill(8, 5 * MIB, 5 * MIB + 10);
    copy.fill(9, copy.length - 10);
    writeFileSync(target, copy);
    const { disks } = await restoreWhole(world, 'disk.img', target, { inPlace: true });
    await expectSame(target);
    // Two chunks, the last of them short, and one that is made empty.
    expect(disks[0]?.writtenBytes).toBe(CHUNK + 1536 + CHUNK);
    expect(disks[0]?.unchangedBytes).toBe(8 * MIB - CHUNK);
    expect(disks[0]?.readFromStoreBytes).toBeLessThan(3 * MIB);
    expect(existsSync(`${target}.partial`)).toBe(false);
  });

  test('of the same content writes nothing', async () => {
    await backedUpDisk();
    writeFileSync(target, readFileSync(image));
    const { disks } = await restoreWhole(world, 'disk.img', target, { inPlace: true });
    expect(disks[0]).toMatchObject({
      writtenBytes: 0,
      readFromStoreBytes: 0,
      unchangedBytes: 8 * MIB + 1536,
    });
  });

  test.each([0, 1000, CHUNK, 3 * MIB + 100, 20 * MIB])('that has %i bytes', async (sizeBytes) => {
    await backedUpDisk();
    makeGarbageFile(target, sizeBytes);
    await restoreWhole(world, 'disk.img', target, { inPlace: true });
    await expectSame(target);
  });

  test('makes holes where the disk is to be empty', async () => {
    await backedUpDisk();
    makeGarbageFile(target, 12 * MIB + 1536);
    await restoreWhole(world, 'disk.img', target, { inPlace: true });
    await expectSame(target);
    expect(statSync(target).blocks * 512).toBeLessThan(8 * MIB + 256 * 1024);
  });

  test('is refused while something has it open', async () => {
    await backedUpDisk();
    writeFileSync(target, 'x');
    const tail = `exec 3<'${target}'; echo ready; read line`;
    const { spawn } = await import('node:child_process');
    const user = spawn('sh', ['-c', tail], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => user.stdout.once('data', resolve));
      const failure = await failureOf(() => restoreWhole(world, 'disk.img', target, { inPlace: true }));
      expect(failure.code).toBe('image-in-use');
      expect(readFileSync(target, 'utf8')).toBe('x');
    } finally {
      user.kill();
    }
  });
});

describe('a restore that broke off', () => {
  test('continues, and does not fetch again what is there', async () => {
    writeFileSync(image, seededBytes(1, 40 * MIB));
    await world.backup(image);
    const stop = new AbortController();
    const { signal } = stop;
    const watched = world.context(signal);
    const original = world.events.push.bind(world.events);
    world.events.push = (...events) => {
      for (const event of events)
        if (event.type === 'progress' && event.stage === 'restore' && event.doneBytes > 12 * MIB)
          stop.abort(new Error('stopped by the test'));
      return original(...events);
    };
    await expect(restoreWhole(world, 'disk.img', target, { signal: watched.signal })).rejects.toThrow(
      'stopped',
    );
    world.events.push = original;
    expect(readdirSync(dirname(target)).toSorted()).toEqual([
      'restored.img.partial',
      'restored.img.partial.vmferry',
    ]);
    expect(world.warnings.at(-1)).toContain('the same command goes on from there');
    const { disks } = await restoreWhole(world, 'disk.img', target);
    await expectSame(target);
    expect(disks[0]?.unchangedBytes).toBeGreaterThanOrEqual(12 * MIB);
    expect((disks[0]?.unchangedBytes ?? 0) + (disks[0]?.writtenBytes ?? 0)).toBe(40 * MIB);
    expect(readdirSync(dirname(target))).toEqual(['restored.img']);
  });

  test('is not trusted: its partial image is compared', async () => {
    await backedUpDisk();
    const store = new FaultyStore(openDirectoryStore(world.storePath), 1);
    // The first pack that is read makes it fail.
    const broken = Object.assign(Object.create(store) as FaultyStore, {
      get: (name: string, ...rest: [AbortSignal]) => {
        if (name.includes('/packs/')) store.faults = { fail: 1 };
        return store.get(name, ...rest);
      },
      list: (...args: Parameters<FaultyStore['list']>) => store.list(...args),
      location: store.location,
    });
    expect((await failureOf(() => restoreWhole(world, 'disk.img', target, { store: broken }))).code).toBe(
      'connection-lost',
    );
    const partial = `${target}.partial`;
    patchFile(partial, 2 * MIB, seededBytes(99, MIB));
    patchFile(partial, 6 * MIB, seededBytes(98, MIB));
    truncateSync(partial, 7 * MIB);
    await restoreWhole(world, 'disk.img', target);
    await expectSame(target);
  });

  test('at random points, again and again, is completed in the end', async () => {
    const seed = testSeed();
    const random = seededRandom(seed);
    writeFileSync(image, seededBytes(3, 30 * MIB));
    await world.backup(image);
    const directory = openDirectoryStore(world.storePath);
    let attempts = 0;
    for (; attempts < 100; attempts++) {
      const store = new FaultyStore(directory, Math.floor(random() * 2 ** 31), { fail: 0.04 });
      try {
        await restoreWhole(world, 'disk.img', target, { store });
        break;
      } catch (error) {
        expect([seed, (error as { code: string }).code]).toEqual([seed, 'connection-lost']);
        expect(existsSync(target)).toBe(false);
      }
    }
    console.log(`seed ${seed}: ${attempts} attempts broke off`);
    await expectSame(target);
    expect(readdirSync(dirname(target))).toEqual(['restored.img']);
  });

  test('of another snapshot is not touched', async () => {
    await backedUpDisk();
    writeFileSync(`${target}.partial`, 'half of something');
    writeFileSync(
      `${target}.partial.vmferry`,
      JSON.stringify({
        format: 'vmferry-partial',
        version: 1,
        store: 'a',
        guest: 'b',
        snapshot: 'c',
        disk: 'd',
      }),
    );
    expect((await failureOf(() => restoreWhole(world, 'disk.img', target))).code).toBe('target-exists');
    expect(readFileSync(`${target}.partial`, 'utf8')).toBe('half of something');
  });
});

describeUnless(loopDevicesMissing(), 'a restore onto a block device', () => {
  function firstBytes(device: string, length: number): Buffer {
    return readFileSync(device).subarray(0, length);
  }

  test('writes the image, and leaves the rest of the device unchanged', async () => {
    await backedUpDisk();
    const backing = join(world.path, 'device');
    makeGarbageFile(backing, 16 * MIB);
    const before = readFileSync(backing);
    {
      using device = attachLoopDevice(backing);
      const { disks } = await restoreWhole(world, 'disk.img', device.path, { inPlace: true });
      expect(disks[0]).toMatchObject({ target: device.path, readBack: 'direct' });
      const bytes = readFileSync(image);
      expect(firstBytes(device.path, bytes.length).equals(bytes)).toBe(true);
      expect(readFileSync(device.path).subarray(bytes.length).equals(before.subarray(bytes.length))).toBe(
        true,
      );
      expect(world.warnings.at(-1)).toContain('is not changed');
      const again = await restoreWhole(world, 'disk.img', device.path, { inPlace: true });
      expect(again.disks[0]).toMatchObject({ writtenBytes: 0, readFromStoreBytes: 0 });
    }
  });

  test('works if the device has larger blocks and little more than the image’s size', async () => {
    await backedUpDisk();
    const backing = join(world.path, 'device');
    makeGarbageFile(backing, 12 * MIB + 4096);
    const path = runTool('losetup', ['--find', '--show', '--sector-size', '4096', backing]).trim();
    try {
      await restoreWhole(world, 'disk.img', path, { inPlace: true });
      const bytes = readFileSync(image);
      expect(firstBytes(path, bytes.length).equals(bytes)).toBe(true);
    } finally {
      runTool('losetup', ['--detach', path]);
    }
  });

  test('is refused without --in-place, if the device is too small, and while it is mounted', async () => {
    await backedUpDisk();
    const backing = join(world.path, 'device');
    makeGarbageFile(backing, 8 * MIB);
    using device = attachLoopDevice(backing);
    const before = readFileSync(device.path);
    const refuse = async (inPlace: boolean) =>
      (await failureOf(() => restoreWhole(world, 'disk.img', device.path, { inPlace }))).code;
    expect(await refuse(false)).toBe('target-exists');
    expect(await refuse(true)).toBe('target-full');
    expect(readFileSync(device.path).equals(before)).toBe(true);

    const larger = join(world.path, 'mounted');
    closeSync(openSync(larger, 'w'));
    truncateSync(larger, 20 * MIB);
    runTool('mke2fs', ['-q', '-F', '-t', 'ext4', larger]);
    using mounted = attachLoopDevice(larger);
    const point = join(world.path, 'point');
    mkdirSync(point);
    using _ = mountDevice(mounted.path, point);
    const failure = await failureOf(() => restoreWhole(world, 'disk.img', mounted.path, { inPlace: true }));
    expect([failure.code, failure.message]).toEqual(['image-in-use', expect.stringContaining(point)]);
  });
});
