import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RestoreReport } from '../../src/operations/restore/restore-report.ts';
import { startBackupHosts, type BackupHosts } from '../support/stores/backup-hosts.ts';
import { errorOf, resultOf, warningsOf } from '../support/programs/command-records.ts';
import { makeSparseFile, runTool, seededBytes } from '../support/images/images.ts';
import { attachLoopDevice, loopDevicesMissing, mountDevice } from '../support/images/loop-device.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { testSeed } from '../support/seeded-random.ts';
import { describeUnless } from '../support/programs/tools.ts';

const MIB = 2 ** 20;
const sizeBytes = 32 * MIB;
const seed = testSeed();

describeUnless(networkLabMissing() ?? loopDevicesMissing(), 'a restore in trouble', () => {
  let world: BackupHosts;
  let image: Buffer;
  let target: string;

  beforeAll(async () => {
    console.log(`seed of the image: ${seed}`);
    world = await startBackupHosts();
    const source = join(world.hosts.old.images, 'disk.img');
    image = Buffer.from(seededBytes(seed, sizeBytes));
    writeFileSync(source, image);
    await world.backup(source);
    rmSync(source);
    target = join(world.hosts.old.images, 'restored.img');
  });
  afterAll(async () => {
    await world[Symbol.asyncDispose]();
  });

  const restoreArguments = (to: string, ...options: string[]) => [
    'restore',
    world.store,
    'disk.img',
    '--to',
    to,
    ...options,
    ...world.access,
    '--json',
  ];
  const restore = (to: string, ...options: string[]) => world.hosts.run(restoreArguments(to, ...options));
  const received = /"stage":"restore","doneBytes":\d{8}/;

  function expectRestored(ended: Awaited<ReturnType<typeof restore>>): RestoreReport['disks'][number] {
    const [disk] = resultOf<RestoreReport>(ended).disks;
    if (disk === undefined) throw new Error(ended.stdout);
    expect(readFileSync(target).equals(image)).toBe(true);
    expect(readdirSync(world.hosts.old.images)).toEqual(['restored.img']);
    rmSync(target);
    return disk;
  }

  test('killed in the middle: the same command continues it', async () => {
    await world.hosts.lab.rate('60mbit');
    const command = world.hosts.start(restoreArguments(target));
    await command.printed(received);
    command.child.kill('SIGKILL');
    await command.ended;
    expect(existsSync(target)).toBe(false);
    await world.hosts.lab.rate(null);
    const disk = expectRestored(await restore(target));
    expect(disk.readFromStoreBytes).toBeLessThan(0.8 * sizeBytes);
  });

  test('interrupted: the same command continues it', async () => {
    await world.hosts.lab.rate('60mbit');
    const command = world.hosts.start(restoreArguments(target));
    await command.printed(received);
    command.signal('SIGINT');
    const ended = await command.ended;
    expect(errorOf(ended).code).toBe('interrupted');
    expect(ended.stdout).not.toContain('undone');
    expect(warningsOf(ended).map(({ message }) => message)).toEqual([
      `What was restored is kept in ${target}.partial: the same command goes on from there.`,
    ]);
    expect(existsSync(target)).toBe(false);
    await world.hosts.lab.rate(null);
    expect(expectRestored(await restore(target)).readFromStoreBytes).toBeLessThan(0.8 * sizeBytes);
  });

  test('cut off: continues when the line is back', async () => {
    const { lab } = world.hosts;
    await lab.rate('60mbit');
    const command = world.hosts.start(restoreArguments(target));
    await command.printed(received);
    await lab.cut();
    await lab.reset();
    await command.printed(/Trying again in/);
    await lab.mend();
    await lab.rate(null);
    const ended = await command.ended;
    expect(warningsOf(ended)).toHaveLength(1);
    expectRestored(ended);
  });

  test('onto a full disk, or one that becomes full: continues when there is room', async () => {
    const { hosts } = world;
    const directory = hosts.new.images;
    const path = join(directory, 'disk.img');
    using _tooSmall = mountTmpfs(directory, sizeBytes / 2);
    expect(errorOf(await restore(path))).toMatchObject({ code: 'target-full', exitStatus: 14 });
    expect(readdirSync(directory)).toEqual([]);

    using _enough = mountTmpfs(directory, sizeBytes + 2 * MIB);
    await hosts.lab.rate('60mbit');
    const command = hosts.start(restoreArguments(path));
    await command.printed(received);
    spawnSync('dd', ['if=/dev/zero', `of=${join(directory, 'filling')}`, 'bs=64k']);
    expect(errorOf(await command.ended)).toMatchObject({ code: 'target-full', exitStatus: 14 });
    expect(existsSync(path)).toBe(false);
    rmSync(join(directory, 'filling'));
    await hosts.lab.rate(null);
    const [disk] = resultOf<RestoreReport>(await restore(path)).disks;
    expect(disk?.readFromStoreBytes).toBeLessThan(0.8 * sizeBytes);
    expect(readFileSync(path).equals(image)).toBe(true);
  });

  test('onto a mounted device, or one that is too small: the device is not changed', async () => {
    const { hosts } = world;
    const file = join(hosts.new.home, 'device.img');
    makeSparseFile(file, 2 * sizeBytes);
    runTool('mke2fs', ['-q', '-F', file]);
    const before = readFileSync(file);
    const mountPoint = hosts.new.images;
    {
      using device = attachLoopDevice(file);
      {
        using _mounted = mountDevice(device.path, mountPoint);
        expect(errorOf(await restore(device.path, '--in-place')).code).toBe('image-in-use');
      }
      expect(errorOf(await restore(device.path)).code).toBe('target-exists');
    }
    const small = join(hosts.new.home, 'small.img');
    makeSparseFile(small, sizeBytes / 2);
    using device = attachLoopDevice(small);
    expect(errorOf(await restore(device.path, '--in-place'))).toMatchObject({ code: 'target-full' });
    expect(readFileSync(small).every((byte) => byte === 0)).toBe(true);
    // Except for the time of the last mount in its superblock.
    expect(readFileSync(file).subarray(65_536).equals(before.subarray(65_536))).toBe(true);
  });

  test('onto a larger device: the rest of the device is not changed', async () => {
    const file = join(world.hosts.new.home, 'large.img');
    writeFileSync(file, Buffer.alloc(sizeBytes + MIB, 'x'));
    using device = attachLoopDevice(file);
    const ended = await restore(device.path, '--in-place');
    expect(resultOf(ended)).toMatchObject({ type: 'restored' });
    runTool('sync', []);
    const now = readFileSync(file);
    expect(now.subarray(0, sizeBytes).equals(image)).toBe(true);
    expect(now.subarray(sizeBytes).equals(Buffer.alloc(MIB, 'x'))).toBe(true);
  });
});

/** Mounts a file system in memory on a directory, until the end of the scope. */
function mountTmpfs(directory: string, bytes: number): Disposable {
  runTool('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'none', directory]);
  return {
    [Symbol.dispose]: () => {
      runTool('umount', [directory]);
    },
  };
}
