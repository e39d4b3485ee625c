import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { join } from 'node:path';
import process from 'node:process';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import type { GuestDriver } from '../../src/guest/guest-driver.ts';
import type { MigrationReport } from '../../src/operations/migrate/migration-report.ts';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { powerButton } from '../support/guests/guest-programs.ts';
import { buildGuestImage, damagedGuestFiles, guestBootCount } from '../support/guests/uml-guest.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { resultOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type HostFiles, type TwoHosts } from '../support/ssh/two-hosts.ts';

const missing = libvirtMissing() ?? guestKernelMissing() ?? networkLabMissing();
const MAC = '52:54:00:12:34:56';
const context = { signal: new AbortController().signal, report: () => undefined };

describeUnless(missing, 'a guest', () => {
  const scratch = scratchDirectory();
  let labs: { old: LibvirtLab; new: LibvirtLab };
  let hosts: TwoHosts;
  beforeAll(async () => {
    labs = { old: await startLibvirt(), new: await startLibvirt() };
    hosts = await startTwoHosts({
      old: { LIBVIRT_DEFAULT_URI: labs.old.uri, XDG_RUNTIME_DIR: join(scratch.path, 'old') },
      new: { LIBVIRT_DEFAULT_URI: labs.new.uri, XDG_RUNTIME_DIR: join(scratch.path, 'new') },
    });
  });
  afterAll(async () => {
    for (const host of [hosts.old, hosts.new]) await endQemuGuests(host);
    await hosts[Symbol.asyncDispose]();
    await labs.old[Symbol.asyncDispose]();
    await labs.new[Symbol.asyncDispose]();
    scratch[Symbol.dispose]();
  });

  const qemuDriverOf = ({ stateDir, home, environment }: HostFiles): GuestDriver =>
    createQemuDriver({ ...process.env, ...environment, HOME: home, VMFERRY_MACHINE: stateDir });
  const driverOnOld = (kind: 'qemu' | 'libvirt'): GuestDriver =>
    kind === 'libvirt' ? createLibvirtDriver(labs.old.environment) : qemuDriverOf(hosts.old);

  /** After a failed test, a guest may still run. */
  async function endQemuGuests(host: HostFiles): Promise<void> {
    const driver = qemuDriverOf(host);
    for (const guest of await driver.list(context))
      await driver.halt(guest, { timeoutMs: 1, force: true }, context);
  }

  test.each([
    ['qemu', 'libvirt'],
    ['libvirt', 'qemu'],
  ] as const)('of %s runs on under %s, and is taken back', async (from, to) => {
    const name = `from-${from}`;
    const { kernel, initrd } = await guestKernel();
    const path = join(hosts.old.images, `${name}.img`);
    const image = await buildGuestImage({
      path,
      dataBytes: 2 ** 20,
      onCtrlAltDel: 'quick-poweroff',
      programs: [powerButton],
    });
    const definition: GuestDefinition = {
      name,
      driver: from,
      memoryBytes: 192 * 2 ** 20,
      cpuCount: 1,
      kernel,
      initrd,
      disks: [{ device: 'vda', path, readOnly: false, bus: 'virtio' }],
      commandLine: ['root=/dev/vda', 'rw', 'console=ttyS0', 'panic=-1'],
      networkCards: [{ mac: MAC, model: 'virtio-net-pci', attachedTo: { kind: 'user' } }],
      console: 'ttyS0',
    };
    const consoleLog = join(hosts.old.home, `${name}.console`);
    await driverOnOld(from).start(definition, { consoleLog, timeoutMs: 150_000 }, context);

    const slow = ['--boot-timeout', '150', '--halt-timeout', '60'];
    const kernels = ['--kernel', kernel, '--initrd', initrd];
    const target = hosts.targetArguments();
    const moved = await hosts.run(['migrate', name, ...target, '--as', to, ...kernels, ...slow, '--json']);
    const report = resultOf<MigrationReport>(moved);
    expect(report).toMatchObject({ type: 'moved', guest: name, as: to });
    const [first, last] = [report.passes.at(0), report.passes.at(-1)];
    // QEMU itself tells what was written; nothing does of a domain of libvirt.
    if (from === 'qemu') expect(last?.readBytes).toBeLessThan((first?.readBytes ?? 0) / 2);
    const listed = await hosts.runOnNew(['guests', '--json']);
    const { guests } = JSON.parse(listed.stdout) as { guests: { name: string }[] };
    expect(guests.filter((one) => one.name === name)).toMatchObject([{ driver: to, state: 'running' }]);
    const convertedAgain = resultOf<{ definition: GuestDefinition }>(
      await hosts.runOnNew(['convert', name, '--as', from, '--json']),
    );
    expect(convertedAgain.definition.networkCards).toMatchObject([{ mac: MAC }]);
    expect(await driverOnOld(from).list(context)).toEqual([]);

    const reverted = await hosts.run(['revert', name, ...slow, '--json']);
    expect(resultOf(reverted)).toMatchObject({ type: 'reverted', wasRunningThere: true });
    const copy = join(hosts.new.images, `${name}.img`);
    expect(await guestBootCount(copy)).toBe(2);
    expect(await damagedGuestFiles(copy, image.files)).toEqual([]);
    expect(await driverOnOld(from).list(context)).toMatchObject([{ definition: { name, driver: from } }]);

    expect((await hosts.run(['halt', name, '--halt-timeout', '60'])).exitStatus).toBe(0);
    // The image here was booted twice here, and never there.
    expect(await guestBootCount(path)).toBe(2);
    expect(await damagedGuestFiles(path, image.files)).toEqual([]);
  });
});
