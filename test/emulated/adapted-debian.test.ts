import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { planAdaptation, type Adaptation } from '../../src/guest/adaptation/plan.ts';
import { convertDefinition } from '../../src/guest/conversion/convert.ts';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { appendToInitrd } from '../../src/guest/initrd/append-to-initrd.ts';
import { inspectGuestSystem } from '../../src/guest/inspection/inspect-guest-system.ts';
import { applyEdits, revertEdits } from '../../src/image/contents/edit-files.ts';
import { bootUnderUml } from '../rigs/debian-guest/boot-under-uml.ts';
import { copyDebianGuest, debianGuestMissing, type DebianInit } from '../rigs/debian-guest/debian-guest.ts';
import { makeMachineDirectory, startQemu } from '../rigs/base/qemu-process.ts';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { describeUnless, findTool, toolsMissing } from '../support/programs/tools.ts';

const slowMs = 10 * 60_000;
const context = { signal: new AbortController().signal };
const mac = '52:54:00:00:00:77';

/** As it ran under User Mode Linux. */
const before: GuestDefinition = {
  name: 'web',
  driver: 'uml',
  memoryBytes: 256 * 2 ** 20,
  cpuCount: null,
  kernel: '/usr/bin/linux.uml',
  initrd: null,
  disks: [{ device: 'ubd0', path: '/srv/web.img', readOnly: false }],
  commandLine: ['root=/dev/ubda', 'rw', `eth0=tuntap,tap0,${mac}`],
};

const missing =
  debianGuestMissing() ??
  guestKernelMissing() ??
  umlMissing() ??
  toolsMissing('qemu-system-x86_64', 'debugfs', 'e2fsck');

async function plan(
  image: string,
  useBoot: boolean,
): Promise<{ to: GuestDefinition; adaptation: Adaptation }> {
  const { kernel, initrd } = await guestKernel();
  const { definition } = convertDefinition(before, { driver: 'qemu', choices: { kernel, initrd } });
  const system = await inspectGuestSystem([{ path: image }], context);
  return { to: definition, adaptation: planAdaptation({ from: before, to: definition, system, useBoot }) };
}

/** Boots it under QEMU until it has switched itself off. Returns what its console showed. */
async function bootUnderQemu(image: string, to: GuestDefinition, adaptation: Adaptation): Promise<string> {
  const directory = await makeMachineDirectory();
  const initrd = join(directory, 'initrd.img');
  await appendToInitrd(to.initrd ?? '', adaptation.bootArchive ?? Buffer.alloc(0), initrd);
  const { kernel } = to;
  const append = [...adaptation.commandLine, 'report=poweroff'].join(' ');
  const files = ['-kernel', kernel ?? '', '-initrd', initrd, '-append', append];
  const disk = ['-drive', `file=${image},format=raw,if=virtio`];
  const card = ['-nic', `user,model=virtio-net-pci,mac=${mac}`];
  await using qemu = await startQemu(directory, ['-m', '384', ...files, ...disk, ...card]);
  await qemu.waitFor('the report', 300, () => qemu.console().includes('REPORT end'));
  await qemu.waitFor('a login prompt', 60, () => /umlguest login:|Power down/.test(qemu.console()));
  await qemu.waitFor('the end', 100, () => /reboot: Power down/.test(qemu.console()));
  return qemu.console();
}

function reported(console: string, what: string): string | undefined {
  return new RegExp(`REPORT ${what}=(.*?)\\s*$`, 'm').exec(console)?.[1];
}

function expectIntact(image: string): void {
  expect(spawnSync(findTool('e2fsck') ?? 'e2fsck', ['-fn', image]).status).toBe(0);
}

describeUnless(missing, 'a Debian guest of User Mode Linux', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-debian-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function guest(init: DebianInit): Promise<string> {
    const image = join(directory, `${init}.img`);
    await copyDebianGuest(init, image);
    return image;
  }

  test(
    'with systemd boots under QEMU as before, and no byte of its disk was changed for that',
    async () => {
      const image = await guest('systemd');
      const underUml = await bootUnderUml(image, directory);
      const { to, adaptation } = await plan(image, true);
      expect(adaptation.edits).toEqual([]);
      const console = await bootUnderQemu(image, to, adaptation);
      const failedBefore = (reported(underUml, 'failed') ?? '').split(' ');
      const failed = (reported(console, 'failed') ?? '?').split(' ').filter((unit) => unit !== '');
      expect(failed.filter((unit) => !failedBefore.includes(unit))).toEqual([]);
      expect(reported(console, 'running')).toBe('');
      // Nothing waited for the swap that is not there. Only the kernel's command line, which masks it, names it.
      expect(console.replaceAll(/.*ommand line: .*/g, '')).not.toMatch(/ubdb/);
      expect(reported(console, 'former')).toBe('/dev/vda');
      expect(reported(console, 'cards')).toBe('eth0 lo');
      expect(reported(console, 'address')).toContain('10.0.2.15');
      expect(reported(console, 'root')).toBe('rw');
      expect(console).toContain('umlguest login:');
      expectIntact(image);
    },
    slowMs,
  );

  test.each([
    ['at boot, where that can be', true, ['/etc/inittab']],
    ['by edits alone', false, ['/etc/fstab', '/etc/inittab', '/etc/systemd/network/10-vmferry-eth0.link']],
  ])(
    'with sysvinit boots under QEMU as before: it is adapted %s',
    async (_, useBoot, paths) => {
      const image = await guest('sysvinit');
      const { to, adaptation } = await plan(image, useBoot);
      expect(adaptation.edits.map(({ path }) => path)).toEqual(paths);
      const place = { path: image, offset: 0 };
      const applied = await applyEdits(place, adaptation.edits, context);
      expectIntact(image);
      const console = await bootUnderQemu(image, to, adaptation);
      expect(reported(console, 'cards')).toBe('eth0 lo');
      expect(reported(console, 'address')).toContain('10.0.2.15');
      expect(reported(console, 'root')).toBe('rw');
      expect(reported(console, 'getty')).toContain('ttyS0');
      expect(console).toContain('umlguest login:');
      expectIntact(image);
      expect(await revertEdits(place, applied, context)).toEqual([]);
      expect((await inspectGuestSystem([{ path: image }], context))?.files['/etc/fstab']).toContain(
        '/dev/ubda',
      );
      expectIntact(image);
    },
    slowMs,
  );
});
