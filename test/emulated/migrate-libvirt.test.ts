import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { writeDomain } from '../../src/guest/drivers/libvirt/domain/write-domain.ts';
import type { MigrationReport } from '../../src/operations/migrate/migration-report.ts';
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
import { resultOf } from '../support/programs/command-records.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { answerOfGuest, GUEST_ADDRESS, shareNetwork } from '../support/ssh/shared-network.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const missing = libvirtMissing() ?? guestKernelMissing() ?? networkLabMissing();
/** Of the guest that is in the network of the two hosts. */
const MAC = '52:54:00:12:34:56';

describeUnless(missing, 'a guest of libvirt', () => {
  let labs: { old: LibvirtLab; new: LibvirtLab };
  let hosts: TwoHosts;
  beforeAll(async () => {
    hosts = await startTwoHosts(async (network) => {
      labs = {
        old: await startLibvirt(network.prefix('old')),
        new: await startLibvirt(network.prefix('new')),
      };
      return {
        old: { LIBVIRT_DEFAULT_URI: labs.old.uri },
        new: { LIBVIRT_DEFAULT_URI: labs.new.uri },
      };
    });
    await shareNetwork(hosts);
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
    await labs.old[Symbol.asyncDispose]();
    await labs.new[Symbol.asyncDispose]();
  });

  /** A guest with things in its definition that only libvirt and QEMU understand. */
  async function startOnOld(name: string, format: 'raw' | 'qcow2') {
    const { kernel, initrd } = await guestKernel();
    const raw = join(hosts.old.images, `${name}.img`);
    const image = await buildGuestImage({
      path: raw,
      dataBytes: 2 ** 20,
      onCtrlAltDel: 'quick-poweroff',
      ...(format === 'raw' && { network: { hostName: name, address: `${GUEST_ADDRESS}/24` } }),
      // The other one is halted by Ctrl-Alt-Del.
      programs: format === 'raw' ? [powerButton] : [],
    });
    const path = format === 'raw' ? raw : join(hosts.old.images, `${name}.qcow2`);
    if (format === 'qcow2') {
      await succeed('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, path]);
      await rm(raw);
    }
    const definition: GuestDefinition = {
      name,
      driver: 'libvirt',
      memoryBytes: 192 * 2 ** 20,
      cpuCount: 1,
      kernel,
      initrd,
      disks: [
        { device: 'vda', path, readOnly: false, bus: 'virtio', ...(format === 'raw' ? {} : { format }) },
      ],
      commandLine: ['root=/dev/vda', 'rw', 'console=ttyS0', 'panic=-1', 'loglevel=5'],
      networkCards: [
        {
          mac: format === 'raw' ? MAC : '52:54:00:12:34:57',
          model: 'virtio-net-pci',
          attachedTo: format === 'raw' ? { kind: 'bridge', name: 'br0' } : { kind: 'user' },
        },
      ],
      console: 'ttyS0',
    };
    const text = writeDomain(definition, 'qemu')
      .replace('<domain ', '<domain xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0" ')
      .replace('</name>', '</name>\n  <title>The shop &amp; its blog</title>')
      .replace(
        '</domain>',
        '  <qemu:commandline>\n    <qemu:arg value="-fw_cfg"/>\n    <qemu:arg value="name=opt/org.example/key,string=a"/>\n  </qemu:commandline>\n</domain>',
      );
    const file = join(hosts.old.home, `${name}.xml`);
    writeFileSync(file, text);
    const defined = await labs.old.virsh('define', file);
    if (defined.exitStatus !== 0) throw new Error(defined.stderr);
    // In the network of its host.
    resultOf(await hosts.run(['start', name, '--boot-timeout', '120', '--json']));
    return { image, path };
  }

  const slow = ['--boot-timeout', '150', '--halt-timeout', '60'];

  /** The guest's image, or a raw copy of it. */
  async function rawImage(path: string, isQcow2 = path.endsWith('.qcow2')): Promise<string> {
    if (!isQcow2) return path;
    await succeed('qemu-img', ['check', '-f', 'qcow2', path]);
    const raw = `${path}.raw`;
    await succeed('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', path, raw]);
    return raw;
  }

  test.each(['raw', 'qcow2'] as const)(
    'with a %s image is moved to another libvirt with one command, and its definition comes along whole',
    async (format) => {
      const name = `shop-${format}`;
      const { image, path } = await startOnOld(name, format);
      const before = (await labs.old.virsh('dumpxml', '--inactive', name)).stdout;

      // A backup that only stops the guest reads the image past the locks that QEMU holds.
      const store = join(hosts.old.home, `store-${format}`);
      resultOf(await hosts.run(['init', store, '--no-encrypt', '--json']));
      const backedUp = await hosts.run(['backup', name, '--to', store, '--pause', '--json']);
      if (backedUp.exitStatus !== 0) throw new Error(backedUp.stdout + backedUp.stderr);

      // Of qcow2 there, the copy that is booted is raw.
      if (format === 'qcow2') {
        const rehearse = [
          'rehearse',
          name,
          ...hosts.targetArguments(),
          '--pause',
          ...slow.slice(0, 2),
          '--json',
        ];
        expect(resultOf(await hosts.run(rehearse))).toMatchObject({ type: 'rehearsed', warnings: [] });
        expect((await labs.old.virsh('list', '--name')).stdout.trim()).toBe(name);
        const left = [`${basename(path)}.partial`, `${basename(path)}.partial.vmferry`];
        expect(
          readdirSync(hosts.new.images)
            .filter((file) => file.includes(name))
            .toSorted(),
        ).toEqual(left);
      }

      const answers = (boots: number) => async () =>
        (await answerOfGuest(hosts, boots === 1 ? 'new' : 'old')) === `${name} boots=${boots} ${MAC}`;
      if (format === 'raw') await eventually(`${name} answers`, 60_000, answers(1));
      const probe = ['--address', GUEST_ADDRESS, '--probe', `tcp:${GUEST_PORT}`, '--probe-for', '150s'];
      // Without --keep-open the move would be committed now.
      const probes = format === 'raw' ? [...probe, '--keep-open'] : [];
      const migrate = ['migrate', name, ...hosts.targetArguments(), ...slow, ...probes, '--json'];
      const moved = await hosts.run(migrate);
      if (moved.exitStatus !== 0) throw new Error(moved.stdout + moved.stderr);
      const report = resultOf<MigrationReport>(moved);
      expect(report).toMatchObject({ type: 'moved', guest: name });
      // Its answer has the number of the boot in it.
      expect(report.warnings.filter((text) => !text.includes('introduces itself'))).toEqual([]);
      if (format === 'raw') {
        expect(report.probes).toMatchObject([{ outcome: 'passed' }]);
        await eventually(`${name} answers there`, 60_000, answers(2));
      }
      // It was copied while it ran: after the halt, little is left to send.
      expect(report.passes.length).toBeGreaterThan(1);
      const inAll = report.disks[0]?.sizeBytes ?? 0;
      expect(report.passes.at(-1)?.changedBytes).toBeLessThan(inAll / 2);
      if (format === 'qcow2') expect(report.passes[0]?.changedBytes).toBeLessThan(inAll / 2);

      expect((await labs.new.virsh('list', '--name')).stdout.trim()).toBe(name);
      expect((await labs.old.virsh('list', '--name')).stdout.trim()).toBe('');
      expect(readdirSync(hosts.new.images)).toContain(basename(path));
      const target = join(hosts.new.images, basename(path));
      // The image alone has another path.
      const after = (await labs.new.virsh('dumpxml', '--inactive', name)).stdout;
      expect(after).toBe(before.replace(path, target));
      expect(after).toContain('opt/org.example/key');

      expect((await hosts.runOnNew(['halt', name])).exitStatus).toBe(0);
      expect(await guestBootCount(await rawImage(path))).toBe(1);
      const copy = await rawImage(target);
      expect(await guestBootCount(copy)).toBe(2);
      expect(await damagedGuestFiles(copy, image.files)).toEqual([]);

      // The fence is gone again, and the definition is as it was.
      const reverted = resultOf(await hosts.run(['revert', name, ...slow.slice(0, 2), '--json']));
      expect(reverted).toMatchObject({ type: 'reverted', guest: name });
      expect((await labs.old.virsh('list', '--name')).stdout.trim()).toBe(name);
      expect((await labs.old.virsh('dumpxml', '--inactive', name)).stdout).toBe(before);
      expect((await hosts.run(['halt', name])).exitStatus).toBe(0);
    },
  );

  test('with snapshots is moved as it is now, and a revert finds them as they were', async () => {
    const name = 'past';
    const { image, path } = await startOnOld(name, 'qcow2');
    const onOld = async (...args: readonly string[]) => {
      const { exitStatus, stdout, stderr } = await labs.old.virsh(...args);
      if (exitStatus !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    await onOld('snapshot-create-as', name, 'nightly', '--disk-only');
    const topmost = join(hosts.old.images, `${name}.nightly`);
    const state = () =>
      Promise.all([
        onOld('dumpxml', '--inactive', name),
        onOld('snapshot-list', name, '--tree'),
        onOld('snapshot-dumpxml', name, 'nightly'),
        onOld('snapshot-current', name, '--name'),
      ]);
    const before = await state();
    const migrate = ['migrate', name, ...hosts.targetArguments(), ...slow];

    const planned = await hosts.run([...migrate, '--dry-run']);
    expect(planned.stdout + planned.stderr).toContain(
      'The snapshots of past stay behind: nightly (in files that its images build on).',
    );
    const moved = await hosts.run([...migrate, '--json']);
    if (moved.exitStatus !== 0) throw new Error(moved.stdout + moved.stderr);
    const target = join(hosts.new.images, basename(topmost));
    expect(resultOf(moved)).toMatchObject({ type: 'moved', disks: [{ source: topmost, target }] });
    expect((await labs.new.virsh('snapshot-list', name, '--name')).stdout.trim()).toBe('');
    expect((await labs.new.virsh('dumpxml', '--inactive', name)).stdout).not.toContain('backingStore');
    expect((await hosts.runOnNew(['halt', name])).exitStatus).toBe(0);
    const copy = await rawImage(target, true);
    expect(await guestBootCount(copy)).toBe(2);
    expect(await damagedGuestFiles(copy, image.files)).toEqual([]);
    await succeed('qemu-img', ['check', '-f', 'qcow2', path]);

    // The fence holds, and takes nothing from the snapshots.
    expect((await labs.old.virsh('start', name)).exitStatus).not.toBe(0);
    expect((await state()).slice(1)).toEqual(before.slice(1));
    const reverted = resultOf(await hosts.run(['revert', name, ...slow.slice(0, 2), '--json']));
    expect(reverted).toMatchObject({ type: 'reverted', guest: name });
    expect(await state()).toEqual(before);
    expect((await hosts.run(['halt', name])).exitStatus).toBe(0);
  });
});
