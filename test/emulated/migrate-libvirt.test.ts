import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestDefinition } from '../../src/guest/definition.ts';
import { createLibvirtDriver } from '../../src/guest/drivers/libvirt/driver.ts';
import { writeDomain } from '../../src/guest/drivers/libvirt/domain/write-domain.ts';
import { guestKernel, guestKernelMissing } from '../rigs/kernel/guest-kernel.ts';
import { libvirtMissing, startLibvirt, type LibvirtLab } from '../rigs/libvirt/libvirt-lab.ts';
import { buildGuestImage, damagedGuestFiles, guestBootCount } from '../support/guests/uml-guest.ts';
import { describeUnless } from '../support/programs/tools.ts';
import { networkLabMissing } from '../support/ssh/network-lab.ts';
import { startTwoHosts, type TwoHosts } from '../support/ssh/two-hosts.ts';

const missing = libvirtMissing() ?? guestKernelMissing() ?? networkLabMissing();

describeUnless(missing, 'a guest of libvirt', () => {
  let labs: { old: LibvirtLab; new: LibvirtLab };
  let hosts: TwoHosts;
  beforeAll(async () => {
    labs = { old: await startLibvirt(), new: await startLibvirt() };
    hosts = await startTwoHosts({
      old: { LIBVIRT_DEFAULT_URI: labs.old.uri },
      new: { LIBVIRT_DEFAULT_URI: labs.new.uri },
    });
  });
  afterAll(async () => {
    await hosts[Symbol.asyncDispose]();
    await labs.old[Symbol.asyncDispose]();
    await labs.new[Symbol.asyncDispose]();
  });

  /** A guest with things in its definition that only libvirt and QEMU understand. */
  async function startOnOld(name: string) {
    const { kernel, initrd } = await guestKernel();
    const path = join(hosts.old.images, `${name}.img`);
    const image = await buildGuestImage({ path, dataBytes: 2 ** 20, onCtrlAltDel: 'quick-poweroff' });
    const definition: GuestDefinition = {
      name,
      driver: 'libvirt',
      memoryBytes: 192 * 2 ** 20,
      cpuCount: 1,
      kernel,
      initrd,
      disks: [{ device: 'vda', path, readOnly: false, bus: 'virtio' }],
      commandLine: ['root=/dev/vda', 'rw', 'console=ttyS0', 'panic=-1', 'loglevel=5'],
      networkCards: [{ mac: '52:54:00:12:34:56', model: 'virtio-net-pci', attachedTo: { kind: 'user' } }],
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
    const driver = createLibvirtDriver(labs.old.environment);
    const context = { signal: new AbortController().signal, report: () => undefined };
    const kept = (await driver.listKept(context)).find((guest) => guest.definition.name === name);
    const consoleLog = join(hosts.old.home, `${name}.console`);
    await driver.start(kept?.definition ?? definition, { consoleLog, timeoutMs: 120_000 }, context);
    return { image, path };
  }

  test('is moved to another libvirt with one command, and its definition comes along whole', async () => {
    const { image, path } = await startOnOld('shop');
    const before = (await labs.old.virsh('dumpxml', '--inactive', 'shop')).stdout;
    const slow = ['--boot-timeout', '120', '--halt-timeout', '60'];
    const moved = await hosts.run(['migrate', 'shop', ...hosts.targetArguments(), ...slow, '--json']);
    if (moved.exitStatus !== 0) throw new Error(moved.stdout + moved.stderr);
    const report = JSON.parse(moved.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(report).toMatchObject({ type: 'moved', guest: 'shop', warnings: [] });

    expect((await labs.new.virsh('list', '--name')).stdout.trim()).toBe('shop');
    expect((await labs.old.virsh('list', '--name')).stdout.trim()).toBe('');
    expect(readdirSync(hosts.new.images)).toEqual(['shop.img']);
    const target = join(hosts.new.images, 'shop.img');
    // The image alone has another path.
    const after = (await labs.new.virsh('dumpxml', '--inactive', 'shop')).stdout;
    expect(after).toBe(before.replace(path, target));
    expect(after).toContain('opt/org.example/key');

    expect((await hosts.runOnNew(['halt', 'shop'])).exitStatus).toBe(0);
    expect(await guestBootCount(path)).toBe(1);
    expect(await guestBootCount(target)).toBe(2);
    expect(await damagedGuestFiles(target, image.files)).toEqual([]);
  });
});
