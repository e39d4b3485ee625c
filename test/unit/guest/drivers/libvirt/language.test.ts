import { describe, expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseGuestDefinition } from '../../../../../src/guest/definition.ts';
import { formatXml, parseXml } from '../../../../../src/guest/drivers/libvirt/xml/document.ts';
import { readDomain } from '../../../../../src/guest/drivers/libvirt/domain/read-domain.ts';
import { libvirtLanguage } from '../../../../../src/guest/drivers/libvirt/language.ts';

const directory = join(import.meta.dirname, '../../../../../fixtures/definitions/libvirt');
const files = readdirSync(directory);
const textOf = (file: string) => readFileSync(join(directory, file), 'utf8');
const place = (name: string) => ({ name, directory: '/srv' });
const read = (file: string) => libvirtLanguage.read(textOf(file), place(file));

describe('the XML of a domain', () => {
  test.each(files)('%s is read, written and read again as the same', (file) => {
    expect(libvirtLanguage.recognizes(textOf(file), file)).toBe(true);
    const { definition } = read(file);
    expect(parseGuestDefinition(JSON.parse(JSON.stringify(definition)))).toEqual(definition);
    const written = libvirtLanguage.write(definition);
    const again = libvirtLanguage.read(written, place(file)).definition;
    expect({ ...again, native: null }).toEqual({ ...definition, native: null });
    // Only the id of a running domain is left out.
    const plain = formatXml(parseXml(textOf(file), file)).replace(' id="7"', '');
    expect(written).toBe(plain);
  });

  test.each(files)('%s becomes a plain domain that says the same', (file) => {
    const { native, ...definition } = read(file).definition;
    expect(native?.text).toBe(textOf(file));
    const again = libvirtLanguage.read(libvirtLanguage.write(definition), place(file)).definition;
    const asWritten = {
      ...definition,
      native: null,
      cpuCount: definition.cpuCount ?? 1,
      clock: definition.clock ?? 'utc',
      networkCards: definition.networkCards?.map((card) =>
        card.attachedTo.kind === 'other' ? { ...card, attachedTo: { kind: 'user' } } : card,
      ),
    };
    expect({ ...again, native: null }).toEqual(asWritten);
  });

  test.each([
    ['usual.xml', [], []],
    ['qemu-arguments.xml', [/-fw_cfg/, /opt\/org.example.*a&b,,c/, /QEMU_AUDIO_DRV/, /virtio-scsi/], []],
    ['block-device.xml', [/line 22: <driver .*discard='unmap'>/, /device='lun'/], []],
    ['network-disk.xml', [/rbd/, /<auth/], [/vda of network-disk .* over the network \(rbd\)/]],
    ['volumes.xml', [], [/vda .* volume web.qcow2 was not found in the pool default/, /vdb .*gone/]],
    ['directory-disk.xml', [/device='floppy'/, /dir='\/srv\/share'/], [/vdb .* a directory/]],
    ['empty-drives.xml', [], []],
    ['backing-chain.xml', [], []],
    ['pinned.xml', [/cpuset/, /cputune/, /numatune/, /memoryBacking/, /topology/, /hle/], []],
    ['uefi-pflash.xml', [], []],
    ['rom-loader.xml', [], []],
    ['old-machine.xml', [/262144 of 524288/, /i686/, /keymap='de'/, /<sound/], []],
    ['comments.xml', [/title/, /description/, /shop:owner/], []],
    [
      'passed-through.xml',
      [/'hostdev'/, /'direct'/, /type='pci'/, /type='usb'/, /<tpm/, /<filesystem/, /<watchdog/],
      [],
    ],
    ['networks.xml', [/virtualport/, /vlan/, /filterref/], []],
    ['agent.xml', [/<channel/, /spice/, /redirdev/], []],
    ['virtio-console.xml', [/of 4/], []],
    ['many-disks.xml', [/with blank/], [/vde .* format luks/]],
    [
      'encrypted-disk.xml',
      [/encryption/, /transient/, /shareable/],
      [/vda .* encrypted/, /vdb .* transient/],
    ],
    ['windows.xml', [/hyperv/, /topology/, /smbios/, /timezone/, /on_reboot/, /vnc/], []],
  ] satisfies [string, RegExp[], RegExp[]][])(
    '%s: what goes beyond the definition is named',
    (file, beyond, problems) => {
      const found = read(file);
      expect(found.problems.map(({ message }) => message)).toEqual(
        problems.map((one) => expect.stringMatching(one) as unknown),
      );
      for (const one of beyond)
        expect(found.definition.native?.beyond).toContainEqual(expect.stringMatching(one) as unknown);
      if (beyond.length === 0) expect(found.definition.native?.beyond).toEqual([]);
      for (const one of found.definition.native?.beyond ?? []) expect(one).toMatch(/^line \d+: </);
    },
  );

  test('an ordinary domain is read whole', () => {
    expect(read('usual.xml').definition).toEqual({
      name: 'usual',
      driver: 'libvirt',
      memoryBytes: 2 ** 30,
      cpuCount: 2,
      kernel: null,
      initrd: null,
      commandLine: [],
      boot: 'firmware',
      disks: [
        {
          device: 'vda',
          path: '/var/lib/libvirt/images/usual.qcow2',
          readOnly: false,
          format: 'qcow2',
          bus: 'virtio',
        },
      ],
      drives: [{ device: 'sda', kind: 'cdrom', bus: 'sata', path: null }],
      networkCards: [
        {
          mac: '52:54:00:6b:3c:58',
          model: 'virtio-net-pci',
          attachedTo: { kind: 'network', name: 'default' },
        },
      ],
      console: 'ttyS0',
      clock: 'utc',
      machineType: 'pc-q35-7.2',
      cpuModel: 'host-passthrough',
      uuid: '4dea22b3-1d52-4f3a-8a1c-012345678901',
      native: { text: textOf('usual.xml'), beyond: [] },
    });
  });

  test('the kernel, the firmware and old settings are read', () => {
    expect(read('direct-kernel.xml').definition).toMatchObject({
      kernel: '/boot/vmlinuz-6.1.0-18-amd64',
      initrd: '/boot/initrd.img-6.1.0-18-amd64',
      commandLine: ['root=/dev/vda', 'ro', 'console=ttyS0,115200', '"dyndbg=file drivers/usb/* +p"'],
    });
    expect(read('uefi-pflash.xml').definition).toMatchObject({
      boot: 'firmware',
      firmware: { kind: 'uefi', code: '/usr/share/OVMF/OVMF_CODE_4M.ms.fd' },
      disks: [
        { device: 'vda' },
        {
          device: 'flash1',
          path: '/var/lib/libvirt/qemu/nvram/uefi-pflash_VARS.fd',
          purpose: 'uefi-variables',
        },
      ],
    });
    expect(read('uefi-chosen.xml').definition).toMatchObject({
      firmware: { kind: 'uefi', code: null },
      disks: [{ device: 'vda' }, { path: '/srv/nvram/uefi-chosen.qcow2', format: 'qcow2' }],
    });
    expect(read('old-machine.xml').definition).toMatchObject({
      memoryBytes: 2 ** 29,
      clock: 'localtime',
      machineType: 'pc-0.12',
      console: 'tty0',
      networkCards: [
        { mac: '00:16:36:1a:2b:3c', model: 'rtl8139', attachedTo: { kind: 'bridge', name: 'br0' } },
      ],
    });
    expect(read('virtio-console.xml').definition).toMatchObject({
      memoryBytes: 500_000_000,
      cpuCount: 1,
      console: 'hvc0',
    });
    expect(read('comments.xml').definition.disks[0]?.path).toBe(`/srv/a & b/it's "web".img`);
  });

  test('the volume of a pool that is known is a disk', () => {
    const { definition, problems } = readDomain(textOf('volumes.xml'), 'volumes', (pool, volume) =>
      pool === 'default' ? `/pool/${volume}` : undefined,
    );
    expect(problems).toHaveLength(1);
    expect(definition.disks).toEqual([
      { device: 'vda', path: '/pool/web.qcow2', readOnly: false, format: 'qcow2', bus: 'virtio' },
    ]);
  });

  test('a disk that a block job copies elsewhere keeps the guest from being moved', () => {
    const text = textOf('usual.xml').replace(
      '</disk>',
      "<mirror type='file' job='active-commit' ready='yes'/></disk>",
    );
    expect(readDomain(text, 'usual').problems).toMatchObject([
      { code: 'guest-unsupported', message: expect.stringMatching(/^A block job copies the disk vda of /) },
    ]);
  });

  test.each([
    ['<!DOCTYPE domain [<!ENTITY x SYSTEM "file:///etc/shadow">]><domain>&x;</domain>', /document type/],
    ['<domain type="kvm"><name>&x;</name></domain>', /line 1: entity not found/],
    ['<domain type="kvm"><name>web</domain>', /line 1: /],
    ['<domain type="xen"><name>web</name></domain>', /a domain of type 'xen'/],
    ['<network><name>web</name></network>', /is <network>/],
    [`<domain type="kvm">${'<a>'.repeat(30_000)}${'</a>'.repeat(30_000)}</domain>`, /nested/],
    [`<domain type="kvm">${' '.repeat(300_000)}</domain>`, /longer than/],
    ['<domain type="kvm"><name>a\u0001</name></domain>', /a character that XML cannot hold/],
    ['<domain type="kvm"><name>../web</name></domain>', /a name that vmferry cannot use/],
    ['', /XML/],
  ])('a text that is no domain is refused: %#', (text, message) => {
    expect(() => libvirtLanguage.read(text, place('web.xml'))).toThrow(message);
  });

  test('a format that libvirt does not know is refused', () => {
    const { native, ...definition } = read('usual.xml').definition;
    void native;
    const disks = definition.disks.map((disk) => ({ ...disk, format: 'vhdx' as const }));
    expect(() => libvirtLanguage.write({ ...definition, disks })).toThrow(/VHDX/);
  });

  test.each(['name = "web"', '#!/bin/sh\nvirsh start <domain >', '', '<network/>'])(
    'another language is not recognized: %j',
    (text) => {
      expect(libvirtLanguage.recognizes(text, 'web.xml')).toBe(false);
    },
  );
});
