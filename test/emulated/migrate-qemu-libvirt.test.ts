import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { createQemuDriver } from '../../src/guest/drivers/qemu/driver.ts';
import type { GuestDriver } from '../../src/guest/guest-driver.ts';
import { createRecordStore } from '../../src/guest/record-store.ts';
import type { MigrationReport } from '../../src/operations/migrate/migration-report.ts';
import { run } from '../../src/system/processes.ts';
import { succeed } from '../rigs/base/command.ts';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { eventually } from '../support/guests/ferried-guest.ts';
import { powerButton } from '../support/guests/guest-programs.ts';
import {
  buildGuestImage,
  damagedGuestFiles,
  GUEST_PORT,
  guestBootCount,
} from '../support/guests/uml-guest.ts';
import { scratchDirectory } from '../support/images/images.ts';
import { resultOf, warningsOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing, type LabHost } from '../support/ssh/network-lab.ts';
import { answerOfGuest, GUEST_ADDRESS, GUEST_TAP, shareNetwork } from '../support/ssh/shared-network.ts';
import { startTwoHosts, type HostFiles, type TwoHosts } from '../support/ssh/two-hosts.ts';

const missing = libvirtMissing() ?? guestKernelMissing() ?? networkLabMissing();
const MAC = '52:54:00:12:34:56';
const context = { signal: new AbortController().signal, report: () => undefined };

describeUnless(missing, 'a guest', () => {
  const scratch = scratchDirectory();
  let labs: { old: LibvirtLab; new: LibvirtLab };
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts(async (network) => {
      labs = {
        old: await startLibvirt(network.prefix('old')),
        new: await startLibvirt(network.prefix('new')),
      };
      return {
        old: { LIBVIRT_DEFAULT_URI: labs.old.uri, XDG_RUNTIME_DIR: join(scratch.path, 'old') },
        new: { LIBVIRT_DEFAULT_URI: labs.new.uri, XDG_RUNTIME_DIR: join(scratch.path, 'new') },
      };
    });
    await shareNetwork(hosts);
    // Who logs in on the new host may attach guests of QEMU to its bridge.
    const allow =
      'mkdir -p /etc/qemu && mount -t tmpfs none /etc/qemu && echo allow br0 >/etc/qemu/bridge.conf';
    await hosts.runInNew('sh', '-c', allow);
  });
  afterEach(async () => {
    for (const host of [hosts.old, hosts.new]) await endQemuGuests(host);
  });
  afterAll(async () => {
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

  const onBridge = { kind: 'bridge', name: 'br0' } as const;
  const onTap = { kind: 'tap', name: GUEST_TAP } as const;
  const slow = ['--boot-timeout', '300', '--halt-timeout', '60'];
  const amongMountsOf = (pid: number) => ['nsenter', '-m', '-t', String(pid), '--'];
  const STAYS = 'has internal snapshots, which stay behind: before.';

  /** A running guest is backed up as it is now, not as it was when the snapshot was made in its image. */
  async function backUp(name: string, pid: number): Promise<void> {
    const [store, restored] = ['store', 'restored'].map((what) => join(hosts.old.home, what));
    resultOf(await hosts.run(['init', store ?? '', '--no-encrypt', '--json']));
    const backup = ['backup', name, '--to', store ?? '', '--json'];
    // It has the mounts of the command that started it, where what QEMU shows is not seen.
    const elsewhere = await hosts.run(backup);
    expect(elsewhere.exitStatus).not.toBe(0);
    expect(elsewhere.stdout).toContain('has mounts of its own');
    const backedUp = await hosts.run(backup, { startedBy: amongMountsOf(pid) });
    // A store has the bytes of the disk, as if the guest had been halted.
    expect(resultOf(backedUp)).toMatchObject({ guests: [{ disks: [{ name: `${name}.img` }] }] });
    expect(warningsOf(backedUp).map(({ message }) => message)).toContainEqual(expect.stringContaining(STAYS));
    await mkdir(restored ?? '');
    resultOf(await hosts.run(['restore', store ?? '', name, '--to', `${restored}/`, '--json']));
    const image = await rawCopy(join(restored ?? '', `${name}.qcow2`));
    // Replays the journal: the guest runs.
    await run('e2fsck', ['-p', image]);
    expect(await guestBootCount(image)).toBe(1);
  }

  /** A raw copy of an image that no guest uses. */
  async function rawCopy(path: string): Promise<string> {
    const raw = `${path}.raw`;
    await succeed('qemu-img', ['convert', '-O', 'raw', path, raw]);
    return raw;
  }

  test.each([
    ['qemu', 'libvirt', onTap, 'qcow2'],
    ['libvirt', 'qemu', onBridge, 'raw'],
  ] as const)('of %s runs on under %s, answers, and is taken back', async (from, to, attachedTo, format) => {
    const name = `from-${from}`;
    const { kernel, initrd } = await guestKernel();
    const raw = join(hosts.old.images, `${name}.img`);
    const image = await buildGuestImage({
      path: raw,
      dataBytes: 2 ** 20,
      onCtrlAltDel: 'quick-poweroff',
      network: { hostName: name, address: `${GUEST_ADDRESS}/24` },
      programs: [powerButton],
    });
    const path = format === 'raw' ? raw : join(hosts.old.images, `${name}.qcow2`);
    if (format === 'qcow2') {
      await succeed('qemu-img', ['convert', '-O', format, raw, path]);
      await succeed('qemu-img', ['snapshot', '-c', 'before', path]);
    }
    const definition: GuestDefinition = {
      name,
      driver: from,
      memoryBytes: 192 * 2 ** 20,
      cpuCount: 1,
      kernel,
      initrd,
      disks: [
        { device: 'vda', path, readOnly: false, bus: 'virtio', ...(format === 'raw' ? {} : { format }) },
      ],
      commandLine: ['root=/dev/vda', 'rw', 'console=ttyS0', 'panic=-1'],
      networkCards: [{ mac: MAC, model: 'virtio-net-pci', attachedTo }],
      console: 'ttyS0',
    };
    // As a guest that vmferry has halted, and starts in the network of its host.
    await createRecordStore(join(hosts.old.stateDir, 'guests')).write({ definition, state: 'halted' });
    const started = await hosts.run(['start', name, '--boot-timeout', '300', '--json']);
    const { pid } = resultOf<{ pid: number }>(started);
    const answers = async (host: LabHost, boots: number) =>
      (await answerOfGuest(hosts, host)) === `${name} boots=${boots} ${MAC}`;
    await eventually(`${name} answers`, 60_000, () => answers('new', 1));
    if (format === 'qcow2') await backUp(name, pid);

    const there = ['--as', to, '--kernel', kernel, '--initrd', initrd, '--network', 'eth0=br0'];
    const probe = [
      '--address',
      GUEST_ADDRESS,
      '--probe',
      `tcp:${GUEST_PORT}`,
      '--probe-for',
      '150s',
      '--keep-open',
    ];
    const target = hosts.targetArguments();
    if (from === 'qemu') {
      const rehearse = ['rehearse', name, ...target, ...there, ...slow.slice(0, 2), '--json'];
      const rehearsed = await hosts.run(rehearse, { startedBy: amongMountsOf(pid) });
      expect(resultOf(rehearsed)).toMatchObject({ type: 'rehearsed', as: to });
      expect(await driverOnOld(from).list(context)).toMatchObject([{ definition: { name } }]);
      expect(await labs.new.virsh('list', '--name')).toMatchObject({
        stdout: expect.stringMatching(/^\s*$/),
      });
      const left = `${basename(path)}.partial`;
      expect(await hosts.filesOnNew()).toEqual([left, `${left}.vmferry`]);
    }
    const moved = await hosts.run(['migrate', name, ...target, ...there, ...probe, ...slow, '--json']);
    const report = resultOf<MigrationReport>(moved);
    expect(report).toMatchObject({
      type: 'moved',
      guest: name,
      as: to,
      probes: [{ outcome: 'passed' }],
    });
    const told = warningsOf(moved).filter(({ message }) => message.includes(STAYS));
    expect(told).toHaveLength(format === 'qcow2' ? 1 : 0);
    await eventually(`${name} answers there`, 60_000, () => answers('old', 2));
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
    const copy = join(hosts.new.images, basename(path));
    expect(await succeed('qemu-img', ['snapshot', '-l', copy])).toBe('');
    expect(await guestBootCount(await rawCopy(copy))).toBe(2);
    expect(await damagedGuestFiles(`${copy}.raw`, image.files)).toEqual([]);
    expect(await driverOnOld(from).list(context)).toMatchObject([{ definition: { name, driver: from } }]);
    await eventually(`${name} answers here again`, 60_000, () => answers('new', 2));

    expect((await hosts.run(['halt', name, '--halt-timeout', '60'])).exitStatus).toBe(0);
    // The image here was booted twice here, and never there.
    expect(await guestBootCount(await rawCopy(path))).toBe(2);
    expect(await damagedGuestFiles(`${path}.raw`, image.files)).toEqual([]);
    const snapshots = await succeed('qemu-img', ['snapshot', '-l', path]);
    expect(snapshots.includes('before')).toBe(format === 'qcow2');
  });
});
