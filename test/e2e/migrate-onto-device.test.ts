import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../src/system/processes.ts';
import {
  copyHasBegun,
  eventually,
  ferriedGuest,
  meddled,
  receiversOf,
  type FerriedGuest,
} from '../support/guests/ferried-guest.ts';
import { damagedGuestFiles, guestBootCount } from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { makeSparseFile, patchFile, runTool, seededBytes } from '../support/images/images.ts';
import { attachLoopDevice, loopDevicesMissing, mountDevice } from '../support/images/loop-device.ts';
import { errorOf, problemsOf, resultOf, warningsOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const MIB = 2 ** 20;
const IMAGE_BYTES = 64 * MIB;
const REST_BYTES = 4 * MIB;

const missing = umlMissing() ?? networkLabMissing() ?? loopDevicesMissing();

describeUnless(missing, 'a guest that moves onto a block device', () => {
  let hosts: TwoHosts;
  let guest: FerriedGuest;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    guest = await ferriedGuest(hosts, 'web');
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  /** A device that holds garbage up to its end, without a signature of anything. */
  function garbageDevice(name: string, sizeBytes = IMAGE_BYTES + REST_BYTES): Disposable & { path: string } {
    const file = join(hosts.new.home, name);
    makeSparseFile(file, sizeBytes);
    for (let offset = MIB; offset < sizeBytes; offset += 8 * MIB)
      patchFile(file, offset, seededBytes(offset, MIB));
    return attachLoopDevice(file);
  }

  const moveOnto = async (device: string, ...more: string[]) =>
    hosts.run([...(await guest.migrateArguments()), '--disk', `root=${device}`, ...more]);

  test('is refused a device that is too small, in use, mounted, or holds something', async () => {
    using small = garbageDevice('small', 32 * MIB);
    expect(problemsOf(await moveOnto(small.path))).toMatchObject([
      { code: 'target-full', message: expect.stringContaining(small.path) },
    ]);

    using device = garbageDevice('device');
    const fd = openSync(device.path, 'r');
    try {
      expect(problemsOf(await moveOnto(device.path))).toMatchObject([{ code: 'image-in-use' }]);
    } finally {
      closeSync(fd);
    }

    for (const [make, what] of [
      [['mke2fs', '-qF', '-L', 'precious', device.path], 'ext2 "precious"'],
      [['mkswap', device.path], 'swap'],
    ] as const) {
      runTool(make[0], make.slice(1));
      const [problem] = problemsOf(await moveOnto(device.path));
      expect(problem).toMatchObject({ code: 'target-exists' });
      expect(problem?.message).toContain(what);
      expect(problem?.advice).toContain('--overwrite');
    }

    runTool('mke2fs', ['-qF', device.path]);
    const directory = join(hosts.new.home, 'mounted');
    mkdirSync(directory);
    using _mounted = mountDevice(device.path, directory);
    const [used] = problemsOf(await moveOnto(device.path, '--overwrite'));
    expect(used).toMatchObject({ code: 'image-in-use', message: expect.stringContaining('mounted') });

    expect(errorOf(await moveOnto('/dev/loop-none/x'))).toMatchObject({ code: 'target-missing' });
    const unknown = await hosts.run([...(await guest.migrateArguments()), '--disk', `data=${device.path}`]);
    expect(errorOf(unknown)).toMatchObject({ code: 'usage', advice: expect.stringContaining('ubd0') });
    expect(guest.runsOn('old')).toBe(true);
  });

  test('says in a dry run what would be lost, and changes nothing', async () => {
    using device = garbageDevice('planned');
    runTool('mke2fs', ['-qF', '-L', 'precious', device.path]);
    const before = sha256Of(device.path);
    const dryRun = await moveOnto(device.path, '--overwrite', '--dry-run');
    expect(resultOf(dryRun)).toMatchObject({
      type: 'plan',
      devices: [{ path: device.path, sizeBytes: IMAGE_BYTES + REST_BYTES, holds: ['ext2 "precious"'] }],
      disks: [{ target: device.path }],
    });
    expect(warningsOf(dryRun)).toMatchObject([{ code: 'device-overwritten' }]);
    expect(sha256Of(device.path)).toBe(before);
  });

  test('that is killed in the middle is brought back by revert', async () => {
    using device = garbageDevice('half');
    const rules = [{ on: 'applied', do: 'hold' }] as const;
    const argv = await guest.migrateArguments({ rules, cold: true });
    const command = hosts.start([...argv, '--disk', `root=${device.path}`]);
    await command.printed(copyHasBegun);
    command.child.kill('SIGKILL');
    await command.ended;
    await eventually('no receiver is left', 40_000, async () => (await receiversOf(hosts)).length === 0);
    expect(resultOf(await hosts.run(['revert', 'web', '--json']))).toMatchObject({ wasRunningThere: null });
    await guest.expectUnmoved();
  });

  test('that is interrupted says what became of the device', async () => {
    using device = garbageDevice('interrupted');
    const rules = [{ on: 'verified', do: 'hold' }] as const;
    const argv = await guest.migrateArguments({ rules });
    const command = hosts.start([...argv, '--disk', `root=${device.path}`]);
    await meddled(hosts, 'verified');
    command.signal('SIGINT');
    const ended = await command.ended;
    expect(errorOf(ended)).toMatchObject({
      code: 'interrupted',
      message: expect.stringContaining(`but what was written to ${device.path}`),
    });
    expect(warningsOf(ended)).toMatchObject([
      { code: 'device-overwritten', message: expect.stringContaining('--overwrite') },
    ]);
    await guest.expectUnmoved();
    expect(problemsOf(await moveOnto(device.path))).toMatchObject([{ code: 'target-exists' }]);
  });

  test('runs there as before, leaves the rest of the device and the old image alone, and can be taken back', async () => {
    using device = garbageDevice('new-root');
    runTool('mke2fs', ['-qF', '-t', 'ext4', device.path]);
    patchFile(join(hosts.new.home, 'new-root'), IMAGE_BYTES, seededBytes(7, REST_BYTES));
    const rest = readEnd(device.path);
    // The directory of the old images need not be there.
    const [, , ...target] = await guest.migrateArguments();
    const withoutDirectory = target.map((word) => word.replace(`:${hosts.new.images}`, ''));
    const argv = ['migrate', 'web', ...withoutDirectory, '--disk', `web.img=${device.path}`, '--overwrite'];
    const report = resultOf<{ disks: object[]; directory: null }>(await hosts.run(argv));
    expect(report).toMatchObject({
      type: 'moved',
      directory: null,
      devices: [{ path: device.path }],
      disks: [{ target: device.path, readBack: 'direct' }],
    });
    expect(guest.runsOn('new')).toBe(true);
    expect(await hosts.filesOnNew()).toEqual([]);
    expect(await hosts.runInNew('ls', '-A', join(hosts.new.stateDir, 'spool'))).toBe('');
    const boots = await guestBootCount(guest.image.path);

    expect((await hosts.runOnNew(['halt', 'web'])).exitStatus).toBe(0);
    expect(await guestBootCount(device.path)).toBe(boots + 1);
    expect(await damagedGuestFiles(device.path, guest.image.files)).toEqual([]);
    expect((await run('e2fsck', ['-fn', device.path])).exitStatus).toBe(0);
    expect(readEnd(device.path).equals(rest)).toBe(true);

    expect(resultOf(await hosts.run(['revert', 'web', '--json']))).toMatchObject({ type: 'reverted' });
    expect(guest.runsOn('old')).toBe(true);
    expect(await guest.state()).toBe('running');
  });
});

function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** What is behind the image on the device. */
function readEnd(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(REST_BYTES);
    readSync(fd, bytes, 0, REST_BYTES, IMAGE_BYTES);
    return bytes;
  } finally {
    closeSync(fd);
  }
}
