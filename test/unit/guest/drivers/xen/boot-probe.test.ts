import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../../src/guest/definition.ts';
import { probeName } from '../../../../../src/guest/drivers/xen/host/probe-name.ts';
import { trialOf } from '../../../../../src/guest/drivers/xen/boot-probe.ts';
import {
  findLeftovers,
  probeDirectoryOf,
  removeFiles,
} from '../../../../../src/guest/drivers/xen/probe-leftovers.ts';
import { readProcess } from '../../../../../src/system/proc-process.ts';
import { fakeDefinition } from '../../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../../support/images/images.ts';

const MEBIBYTE = 2 ** 20;
const itIf = process.arch === 'x64' ? test : test.skip;
const guest: GuestDefinition = {
  ...fakeDefinition('web', []),
  driver: 'xen',
  kernel: '/boot/guest',
  memoryBytes: 1024 * MEBIBYTE,
};
let boot: string;

beforeAll(() => {
  boot = mkdtempSync(join(tmpdir(), 'vmferry-boot-'));
  writeFileSync(join(boot, 'vmlinuz-6.1'), '');
  writeFileSync(join(boot, 'initrd.img-6.1'), '');
});
afterAll(() => {
  rmSync(boot, { recursive: true });
});

itIf(
  'the kernel that the guest will boot is tried, with little memory first, and never with more than the guest has',
  () => {
    const host = { kernelDirectory: boot };
    expect(trialOf(guest, host)).toEqual({
      name: 'web',
      kernel: '/boot/guest',
      virtualization: 'pv',
      isStandIn: false,
      memoryBytes: [128 * MEBIBYTE, 1024 * MEBIBYTE],
    });
    expect(trialOf({ ...guest, virtualization: 'pvh', memoryBytes: 64 * MEBIBYTE }, host)).toMatchObject({
      virtualization: 'pvh',
      memoryBytes: [64 * MEBIBYTE],
    });
    const amounts = (memoryBytes: number) => trialOf({ ...guest, memoryBytes }, host)?.memoryBytes;
    expect(amounts(256 * MEBIBYTE)).toEqual([128 * MEBIBYTE, 256 * MEBIBYTE]);
    expect(amounts(4096 * MEBIBYTE)).toEqual([128 * MEBIBYTE, 1024 * MEBIBYTE]);
  },
);

itIf('for a guest whose kernel is on its disk, the machine’s own kernel is tried, if it has one', () => {
  // The guest's memory is enough for its own kernel only.
  const loaded: GuestDefinition = {
    ...guest,
    kernel: null,
    boot: 'boot-loader',
    memoryBytes: 64 * MEBIBYTE,
  };
  expect(trialOf(loaded, { kernelDirectory: boot })).toMatchObject({
    kernel: join(boot, 'vmlinuz-6.1'),
    isStandIn: true,
    memoryBytes: [128 * MEBIBYTE],
  });
  expect(trialOf(loaded, { kernelDirectory: '/nowhere' })).toBeNull();
});

test('a guest of the type HVM is not tried', () => {
  expect(trialOf({ ...guest, virtualization: 'hvm' }, { kernelDirectory: boot })).toBeNull();
  expect(trialOf({ ...guest, boot: 'firmware' }, { kernelDirectory: boot })).toBeNull();
});

test('of the domains of probes, those are left over whose process is gone', () => {
  const own = readProcess(process.pid);
  if (own === null) throw new Error('this process is not in /proc');
  const earlier = probeName({ ...own, startTimeTicks: own.startTimeTicks - 1 });
  const table = [
    'Name                                        ID   Mem VCPUs\tState\tTime(s)',
    'Domain-0                                     0   512     1     r-----      44.1',
    `${probeName(own).padEnd(40)}     3   128     1     -b----       0.4`,
    `${earlier.padEnd(40)}     4   128     1     ---s--       0.4`,
    'vmferry-probe-web                            5   128     1     -b----       0.4',
    'my vmferry-probe-1-1                         6   128     1     -b----       0.4',
  ].join('\n');
  expect(findLeftovers(table)).toEqual([{ domid: 4, name: earlier }]);
});

test('of the files of probes, those are removed whose process is gone, but not the console of a guest of such a name', () => {
  using scratch = scratchDirectory();
  const own = readProcess(process.pid);
  if (own === null) throw new Error('this process is not in /proc');
  const [alive, left, guestLike] = [own, { pid: 1, startTimeTicks: 1 }, { pid: 1, startTimeTicks: 2 }].map(
    probeName,
  );
  if (alive === undefined || left === undefined || guestLike === undefined) throw new Error('no names');
  const host = { runDirectory: join(scratch.path, 'run'), consoleDirectory: join(scratch.path, 'console') };
  // Nothing is there yet.
  removeFiles(host, []);
  mkdirSync(host.consoleDirectory);
  for (const name of [alive, left, 'web']) {
    mkdirSync(probeDirectoryOf(host, name), { recursive: true });
    writeFileSync(join(probeDirectoryOf(host, name), 'config'), '');
  }
  for (const name of [alive, left, guestLike, 'web'])
    writeFileSync(join(host.consoleDirectory, `guest-${name}.log`), '');
  removeFiles(host, [guestLike]);
  expect(readdirSync(probeDirectoryOf(host, '')).toSorted()).toEqual([alive, 'web'].toSorted());
  expect(readdirSync(host.consoleDirectory).toSorted()).toEqual(
    [alive, guestLike, 'web'].map((name) => `guest-${name}.log`).toSorted(),
  );
});
