import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';
import { errorOf, resultOf, warningsOf } from '../../support/programs/command-records.ts';
import { eventually, meddlingReceiver, receiversOf } from '../../support/guests/ferried-guest.ts';
import { makeSparseFile, patchFile, seededBytes } from '../../support/images/images.ts';
import { attachLoopDevice } from '../../support/images/loop-device.ts';
import { networkLabMissing } from '../../support/ssh/network-lab.ts';
import { describeUnless } from '../../support/programs/tools.ts';
import {
  startTwoHosts,
  type CommandEnd,
  type RunningCommand,
  type TwoHosts,
} from '../../support/ssh/two-hosts.ts';

const MIB = 2 ** 20;
const dataBytes = 48 * MIB;
const sizeBytes = 100 * MIB + 512;
const seed = testSeed();

interface Moved {
  disks: { sentBytes: number; fingerprint: string }[];
}

/** An image without a guest, which moves over a line that breaks. Its bytes do not compress. */
describeUnless(networkLabMissing(), `a move whose line breaks (VMFERRY_TEST_SEED=${seed})`, () => {
  let hosts: TwoHosts;
  let image: string;
  let target: string;
  beforeAll(async () => {
    hosts = await startTwoHosts();
    image = join(hosts.old.images, 'disk.img');
    target = join(hosts.new.images, 'disk.img');
    makeSparseFile(image, sizeBytes);
    patchFile(image, MIB, seededBytes(seed, dataBytes / 2));
    patchFile(image, 60 * MIB, seededBytes(seed + 1, dataBytes / 2));
    await hosts.lab.rate('64mbit');
  });
  beforeEach(async () => {
    for (const name of await readdir(hosts.new.images)) await rm(join(hosts.new.images, name));
  });
  afterEach(async () => {
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
  });

  const start = (...more: string[]): RunningCommand =>
    hosts.start(['migrate', image, ...hosts.targetArguments(), '--json', ...more]);
  /** Resolves when a pass has sent so many bytes. */
  const sent = (command: RunningCommand, mib: number): Promise<void> =>
    new Promise((resolve) => {
      command.child.stdout?.on('data', (text: string) => {
        if (sentBytesIn(text).some((bytes) => bytes >= mib * MIB)) resolve();
      });
    });
  const expectMoved = async (ended: CommandEnd): Promise<Moved> => {
    const moved = resultOf<Moved>(ended);
    expect(readFileSync(target).equals(readFileSync(image))).toBe(true);
    expect(await hosts.filesOnNew()).toEqual(['disk.img']);
    return moved;
  };

  test('ends, and sends at most a fifth more than over a line that holds', async () => {
    const command = start();
    const random = seededRandom(seed);
    let breaks = 0;
    let told = 0;
    // A break for each 10 MiB or so.
    command.child.stdout?.on('data', (text: string) => {
      for (const bytes of sentBytesIn(text)) {
        if (bytes < told) told = 0;
        if (bytes - told < (8 + 4 * random()) * MIB) continue;
        told = bytes;
        breaks++;
        void hosts.lab.reset();
      }
    });
    const ended = await command.ended;
    const { disks } = await expectMoved(ended);
    expect(breaks).toBeGreaterThan(3);
    expect(warningsOf(ended).filter(({ code }) => code === 'line-lost').length).toBeGreaterThan(3);
    expect(disks[0]?.sentBytes).toBeLessThan(1.2 * dataBytes);
  });

  test('goes on when its receiver is killed', async () => {
    const command = start();
    await sent(command, 12);
    for (const pid of await receiversOf(hosts)) process.kill(pid, 'SIGKILL');
    const { disks } = await expectMoved(await command.ended);
    expect(disks[0]?.sentBytes).toBeLessThan(1.5 * dataBytes);
  });

  test('goes on with the next command when its mover is killed, and mends what was damaged meanwhile', async () => {
    const command = start();
    await sent(command, 20);
    command.child.kill('SIGKILL');
    await command.ended;
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    expect(await hosts.filesOnNew()).toEqual(['disk.img.partial', 'disk.img.partial.vmferry']);
    // Of the part that was sent first, and in a hole of the image.
    patchFile(`${target}.partial`, MIB + 12_345, Buffer.from('flipped'));
    patchFile(`${target}.partial`, 40 * MIB + 1, Buffer.from('not empty'));
    const { disks } = await expectMoved(await start().ended);
    expect(disks[0]?.sentBytes).toBeGreaterThan(0);
    expect(disks[0]?.sentBytes).toBeLessThan(0.8 * dataBytes);
  });

  test('fails, and gives no image its name, when the new machine claims chunks that it does not have', async () => {
    const first = start();
    await sent(first, 12);
    first.child.kill('SIGKILL');
    await first.ended;
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    const claim = { on: 'surveyed', do: 'claim', image, offset: 60 * MIB } as const;
    const remoteCommand = await meddlingReceiver(hosts, [claim]);
    const argv = ['migrate', image, ...hosts.targetArguments({ remoteCommand }), '--json'];
    const error = errorOf(await hosts.run(argv));
    expect(error).toMatchObject({ code: 'verification-failed', exitStatus: 15 });
    expect(await hosts.filesOnNew()).not.toContain('disk.img');
  });

  test('is not tried again with --retry-for 0, and says how to go on or to give it up', async () => {
    const command = start('--retry-for', '0');
    await sent(command, 12);
    await hosts.lab.reset();
    const error = errorOf(await command.ended);
    expect(error).toMatchObject({ code: 'connection-lost', exitStatus: 12 });
    expect(error.advice).toMatch(/the same command goes on from there/);
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    const [, remove = ''] = /To give it up: ssh \S+ \S+ \S+ (.+)$/.exec(error.advice ?? '') ?? [];
    expect((await hosts.runInNew('sh', '-c', remove.replaceAll("'", ''))).trim()).toBe('');
    expect(await hosts.filesOnNew()).toEqual([]);
  });

  test('leaves nothing when a person ends it, also of what an earlier one has left', async () => {
    const first = start();
    await sent(first, 12);
    first.child.kill('SIGKILL');
    await first.ended;
    await eventually('no receiver is left', 60_000, async () => (await receiversOf(hosts)).length === 0);
    expect((await stat(`${target}.partial`)).blocks).toBeGreaterThan(0);
    const second = start();
    await second.printed(/are there already/);
    second.signal('SIGINT');
    expect(errorOf(await second.ended)).toMatchObject({ code: 'interrupted' });
    expect(await hosts.filesOnNew()).toEqual([]);
  });

  test('goes on with a block device that it has begun', async () => {
    const file = join(hosts.new.home, 'device');
    makeSparseFile(file, sizeBytes + MIB);
    patchFile(file, 20 * MIB, seededBytes(7, 30 * MIB));
    patchFile(file, sizeBytes, seededBytes(8, MIB));
    using device = attachLoopDevice(file);
    const command = start('--disk', `root=${device.path}`, '--overwrite');
    await sent(command, 20);
    await hosts.lab.cut();
    await command.printed(/"code":"line-lost"/);
    await hosts.lab.mend();
    const { disks } = resultOf<Moved>(await command.ended);
    expect(disks[0]?.sentBytes).toBeLessThan(1.5 * dataBytes);
    const after = readFileSync(device.path);
    expect(after.subarray(0, sizeBytes).equals(readFileSync(image))).toBe(true);
    expect(after.subarray(sizeBytes).equals(seededBytes(8, MIB))).toBe(true);
  });

  test('does not touch what belongs to another guest', async () => {
    writeFileSync(`${target}.partial`, 'of another', { mode: 0o600 });
    const claim = {
      format: 'vmferry-partial',
      version: 1,
      machine: 'other',
      guest: 'web',
      sizeBytes,
    };
    writeFileSync(`${target}.partial.vmferry`, JSON.stringify(claim), { mode: 0o600 });
    const error = errorOf(await start().ended);
    expect(error).toMatchObject({ code: 'target-exists', exitStatus: 14 });
    expect(readFileSync(`${target}.partial`, 'utf8')).toBe('of another');
  });
});

/** What the command tells of the pass that is under way. */
function sentBytesIn(text: string): number[] {
  const told = text.matchAll(/"stage":"copy","doneBytes":\d+,"totalBytes":\d+,"sentBytes":(\d+)/g);
  return [...told].map(([, bytes]) => Number(bytes));
}
