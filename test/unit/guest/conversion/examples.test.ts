import { describe, expect, test } from '@jest/globals';
import { parseAttachedTo, type ConversionChoices } from '../../../../src/guest/conversion/choices.ts';
import { convertDefinition } from '../../../../src/guest/conversion/convert.ts';
import type { HypervisorKind } from '../../../../src/guest/definition-language.ts';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';

const uml: GuestDefinition = {
  name: 'web',
  driver: 'uml',
  memoryBytes: 134_217_728,
  cpuCount: null,
  kernel: '/usr/bin/linux.uml',
  initrd: null,
  disks: [
    { device: 'ubd0', path: '/srv/web.img', readOnly: false },
    { device: 'ubd1', path: '/srv/swap.img', readOnly: false },
  ],
  commandLine: ['root=/dev/ubda', 'rw', 'eth0=tuntap,tap0,52:54:00:00:00:01', 'con=null', 'con0=null,fd:1'],
};

const bios: GuestDefinition = {
  name: 'mail',
  driver: 'libvirt',
  memoryBytes: 2 ** 30,
  cpuCount: 2,
  kernel: null,
  initrd: null,
  boot: 'firmware',
  firmware: { kind: 'bios' },
  disks: [{ device: 'sda', path: '/srv/mail.qcow2', readOnly: false, format: 'qcow2', bus: 'sata' }],
  commandLine: [],
  networkCards: [
    { mac: '52:54:00:00:00:02', model: 'e1000', attachedTo: { kind: 'network', name: 'default' } },
  ],
};

function convert(definition: GuestDefinition, driver: HypervisorKind, choices: ConversionChoices = {}) {
  return convertDefinition(definition, { driver, choices });
}

describe('a User Mode Linux guest', () => {
  test('becomes a Xen guest, on a partition', () => {
    const { definition, changes, losses } = convert(uml, 'xen', {
      disks: new Map([['root', { path: '/dev/vg0/web' }]]),
      networks: new Map([['eth0', parseAttachedTo('br0')]]),
    });
    expect(definition).toEqual({
      name: 'web',
      driver: 'xen',
      memoryBytes: 134_217_728,
      cpuCount: null,
      kernel: null,
      initrd: null,
      virtualization: 'pv',
      disks: [
        { device: 'xvda', path: '/dev/vg0/web', readOnly: false, bus: 'xen' },
        { device: 'xvdb', path: '/srv/swap.img', readOnly: false, bus: 'xen' },
      ],
      commandLine: ['root=/dev/xvda', 'rw', 'console=hvc0'],
      networkCards: [{ mac: '52:54:00:00:00:01', attachedTo: { kind: 'bridge', name: 'br0' } }],
      console: 'hvc0',
    });
    expect(changes).toEqual([
      'The disk ubd0 is /dev/vg0/web, instead of /srv/web.img.',
      'eth0=tuntap,tap0,52:54:00:00:00:01 becomes a network card, attached to tap device tap0.',
      "con=null is left out: the guest has its hypervisor's console.",
      "con0=null,fd:1 is left out: the guest has its hypervisor's console.",
      'The disk ubd0 becomes xvda (xen).',
      'The disk ubd1 becomes xvdb (xen).',
      "The kernel /usr/bin/linux.uml is replaced by the new machine's own kernel.",
      'The guest is a Xen guest of the kind pv.',
      'The card eth0 (52:54:00:00:00:01) is attached to bridge br0, instead of tap device tap0.',
      'root=/dev/ubda becomes root=/dev/xvda.',
      "console=hvc0 is added: the guest's console is there.",
    ]);
    expect(losses).toEqual([]);
  });

  test('comes back from QEMU as it was, but for its kernel', () => {
    const there = convert(uml, 'qemu').definition;
    expect(there.commandLine).toEqual(['root=/dev/vda', 'rw', 'console=ttyS0']);
    const { definition } = convert(there, 'uml');
    expect(definition).toEqual({
      ...uml,
      kernel: null,
      commandLine: ['root=/dev/ubda', 'rw', 'console=tty0', 'eth0=tuntap,tap0,52:54:00:00:00:01'],
    });
  });

  test('that stays is given another network', () => {
    const { definition } = convert(uml, 'uml', { networks: new Map([['eth0', parseAttachedTo('br0')]]) });
    expect(definition.commandLine).toEqual([
      'root=/dev/ubda',
      'rw',
      'eth0=tuntap,web-0,52:54:00:00:00:01',
      'con=null',
      'con0=null,fd:1',
    ]);
  });
});

describe('a guest that boots by itself', () => {
  test('keeps buses and cards that any kernel has drivers for', () => {
    const { definition } = convert(bios, 'xen');
    expect(definition).toMatchObject({
      virtualization: 'hvm',
      boot: 'firmware',
      disks: [{ device: 'hda', bus: 'ide', format: 'qcow2' }],
      networkCards: [{ model: 'e1000', attachedTo: { kind: 'bridge', name: 'xenbr0' } }],
    });
  });

  test('is given the bus and the card that it has drivers for', () => {
    const { definition } = convert(bios, 'qemu', {
      buses: ['virtio', 'ide'],
      cardModels: ['virtio-net-pci'],
    });
    expect(definition).toMatchObject({
      disks: [{ device: 'vda', bus: 'virtio' }],
      networkCards: [{ model: 'virtio-net-pci', attachedTo: { kind: 'user' } }],
    });
  });

  test('is told its root file system when its kernel comes from outside', () => {
    const { definition, changes, losses } = convert(bios, 'uml', { root: '/dev/sda1' });
    expect(definition.commandLine.slice(0, 2)).toEqual(['root=/dev/ubda1', 'ro']);
    expect(definition.disks).toEqual([{ device: 'ubd0', path: '/srv/mail.qcow2', readOnly: false }]);
    expect(changes).toContain('The image of the disk ubd0 has to be raw: uml does not read qcow2.');
    expect(losses).toEqual([
      'The card eth0 (52:54:00:00:00:02) was attached to network default, which uml does not have. It is attached to a network in user space instead.',
    ]);
  });

  test('has no root file system named when nobody knows it', () => {
    const { losses } = convert(bios, 'uml');
    expect(losses.join(' ')).toContain('is not told of the root file system');
  });
});

test('partitions that are disks of their own under Xen become whole disks', () => {
  const xen: GuestDefinition = {
    ...uml,
    driver: 'xen',
    kernel: null,
    boot: 'boot-loader',
    virtualization: 'pv',
    disks: [
      { device: 'xvda1', path: '/dev/vg0/root', readOnly: false, bus: 'xen' },
      { device: 'xvda2', path: '/dev/vg0/swap', readOnly: false, bus: 'xen' },
    ],
    commandLine: ['root=/dev/xvda1', 'resume=/dev/xvda2', 'console=hvc0'],
  };
  const { definition } = convert(xen, 'qemu');
  expect(definition.boot).toBeUndefined();
  expect(definition.disks.map(({ device }) => device)).toEqual(['vda', 'vdb']);
  expect(definition.commandLine).toEqual(['root=/dev/vda', 'resume=/dev/vdb', 'console=ttyS0']);
});

test.each([
  ['uml', 'ubd0', 'root=/dev/ubda2'],
  ['uml', 'ubd0', 'root=/dev/ubd0p2'],
  ['uml', 'ubd0', 'root=98:2'],
  ['uml', 'ubd0', 'root=6202'],
  ['xen', 'xvda', 'root=/dev/xvda2'],
  ['xen', 'sda', 'root=/dev/sda2'],
  ['xen', 'sda', 'root=/dev/xvda2'],
  ['xen', 'hda', 'root=/dev/hda2'],
  ['qemu', 'vda', 'root=/dev/vda2'],
] as const)('a partition keeps its number: %s, %s, %s', (driver, device, root) => {
  const guest: GuestDefinition = {
    ...uml,
    driver,
    kernel: '/boot/kernel',
    disks: [{ device, path: '/srv/web.img', readOnly: false }],
    commandLine: [root],
  };
  const there = { uml: '/dev/ubda2', qemu: '/dev/vda2', libvirt: '/dev/vda2', xen: '/dev/xvda2' } as const;
  for (const [to, name] of Object.entries(there) as [keyof typeof there, string][])
    if (to !== driver) expect(convert(guest, to).definition.commandLine[0]).toBe(`root=${name}`);
});

test.each(['qemu', 'libvirt'] as const)(
  'a guest of User Mode Linux or Xen whose kernel is given has a virtio card under %s',
  (driver) => {
    const vif = [{ mac: '52:54:00:00:00:03', attachedTo: { kind: 'bridge', name: 'br0' } }] as const;
    const xen: GuestDefinition = { ...uml, driver: 'xen', virtualization: 'pv', networkCards: vif };
    const withCard = { ...uml, commandLine: ['eth0=tuntap,tap0,52:54:00:00:00:03'] };
    for (const guest of [withCard, { ...xen, commandLine: ['root=/dev/xvda'] }]) {
      const { definition, changes } = convert(guest, driver);
      expect(definition.networkCards).toMatchObject([{ model: 'virtio-net-pci' }]);
      expect(changes.join(' ')).toContain('becomes model virtio-net-pci');
    }
  },
);

test.each([
  ['root=98:0', 'root=/dev/vda'],
  ['root=98:17', 'root=/dev/vdb1'],
  ['root=6200', 'root=/dev/vda'],
  ['root=/dev/ubd/1', 'root=/dev/vdb'],
  ['root=UUID=ab', 'root=UUID=ab'],
])('%s becomes %s', (before, after) => {
  expect(convert({ ...uml, commandLine: [before] }, 'qemu').definition.commandLine[0]).toBe(after);
});

test("the firmware's variables come first, and the names of disks are still the right ones", () => {
  const variables = {
    device: 'pflash1',
    path: '/srv/vars',
    readOnly: false,
    purpose: 'uefi-variables',
  } as const;
  const before: GuestDefinition = {
    ...bios,
    firmware: { kind: 'uefi', code: null },
    disks: [variables, ...bios.disks],
  };
  const { definition, disks } = convert(before, 'uml', {
    root: '/dev/sda2',
    disks: new Map([['root', { path: '/srv/mail.img', format: 'raw' }]]),
  });
  expect(disks).toEqual([null, { device: 'ubd0', path: '/srv/mail.img', readOnly: false }]);
  expect(definition.commandLine[0]).toBe('root=/dev/ubda2');
});

test.each<[ConversionChoices, RegExp]>([
  [{ disks: new Map([['vdx', { path: '/x' }]]) }, /no disk vdx. It has ubd0, ubd1/],
  [{ networks: new Map([['eth7', { kind: 'user' }]]) }, /no network card eth7. It has eth0 \(52:/],
  [{ networks: new Map([['eth0', { kind: 'user' }]]) }, /cannot be attached to a network in user space/],
])('a choice that does not fit is refused: %j', (choices, message) => {
  expect(() => convert(uml, 'xen', choices)).toThrow(message);
});

test.each([
  ['br0', { kind: 'bridge', name: 'br0' }],
  ['network:default', { kind: 'network', name: 'default' }],
  ['tap:tap0', { kind: 'tap', name: 'tap0' }],
  ['user', { kind: 'user' }],
])('--network eth0=%s', (text, attachedTo) => {
  expect(parseAttachedTo(text)).toEqual(attachedTo);
});
