import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../../src/guest/definition.ts';
import { probeName } from '../../../../../src/guest/drivers/xen/host/probe-name.ts';
import { probeGuestOf } from '../../../../../src/guest/drivers/xen/boot-probe.ts';
import { findLeftovers } from '../../../../../src/guest/drivers/xen/probe-leftovers.ts';
import { readProcess } from '../../../../../src/system/proc-process.ts';
import { fakeDefinition } from '../../../../support/guests/fake-driver.ts';

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

itIf('the kernel that the guest will boot is tried, with no more memory than the guest has', () => {
  const host = { kernelDirectory: boot };
  expect(probeGuestOf(guest, host)).toEqual({
    kernel: '/boot/guest',
    virtualization: 'pv',
    memoryBytes: 128 * MEBIBYTE,
  });
  expect(probeGuestOf({ ...guest, virtualization: 'pvh', memoryBytes: 64 * MEBIBYTE }, host)).toEqual({
    kernel: '/boot/guest',
    virtualization: 'pvh',
    memoryBytes: 64 * MEBIBYTE,
  });
});

itIf('for a guest whose kernel is on its disk, the machine’s own kernel is tried, if it has one', () => {
  const loaded: GuestDefinition = { ...guest, kernel: null, boot: 'boot-loader' };
  expect(probeGuestOf(loaded, { kernelDirectory: boot })).toMatchObject({
    kernel: join(boot, 'vmlinuz-6.1'),
  });
  expect(probeGuestOf(loaded, { kernelDirectory: '/nowhere' })).toBeNull();
});

test('a guest of the type HVM is not tried', () => {
  expect(probeGuestOf({ ...guest, virtualization: 'hvm' }, { kernelDirectory: boot })).toBeNull();
  expect(probeGuestOf({ ...guest, boot: 'firmware' }, { kernelDirectory: boot })).toBeNull();
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
