import { expect, test } from '@jest/globals';
import type { GuestKernel } from '../../../../src/guest/boot-menu/guest-kernel.ts';
import { convertDefinition } from '../../../../src/guest/conversion/convert.ts';
import { withMenuArguments } from '../../../../src/guest/conversion/guest-kernel.ts';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import { diskDrivers, type GuestSystem } from '../../../../src/guest/inspection/guest-system.ts';
import {
  GUEST_KERNEL,
  guestThere,
  noConversion,
} from '../../../../src/operations/migrate/conversion/guest-there.ts';
import { planFixups } from '../../../../src/operations/migrate/conversion/adaptation.ts';
import { bootFilesThere } from '../../../../src/operations/migrate/conversion/adaptation-work.ts';

const kernel: GuestKernel = {
  kernel: '/boot/vmlinuz-6.1',
  initrds: ['/boot/initrd.img-6.1'],
  place: { diskIndex: 0, offset: 1_048_576 },
  version: '6.1.0-9',
  foundBy: 'the link /vmlinuz',
  arguments: ['root=/dev/xvda1', 'ro', 'quiet', 'console=hvc0'],
  leftOut: ['$vt_handoff'],
  root: 'UUID=12',
  buses: ['virtio'],
  hasShell: true,
};
const pygrub: GuestDefinition = {
  name: 'web',
  driver: 'xen',
  memoryBytes: null,
  cpuCount: null,
  kernel: null,
  initrd: null,
  boot: 'boot-loader',
  virtualization: 'pv',
  disks: [{ device: 'xvda', path: '/srv/web.img', readOnly: false, bus: 'xen' }],
  commandLine: ['extra=1'],
};
const onQemu: GuestDefinition = {
  name: 'web',
  driver: 'qemu',
  memoryBytes: null,
  cpuCount: null,
  kernel: '/boot/machines',
  initrd: '/boot/machines.img',
  disks: [
    { device: 'vda', path: '/srv/web.img', readOnly: false, bus: 'virtio' },
    { device: 'sda', path: '/srv/data.img', readOnly: false, bus: 'usb' },
  ],
  commandLine: ['root=/dev/vda1', 'rw'],
};
const request = { ...noConversion, as: 'qemu', kernel: GUEST_KERNEL } as const;
const there = (found: GuestKernel, before = pygrub) => guestThere(before, before, request, null, found);

test('the arguments of the menu come first, and what the definition says as well is said once', () => {
  expect(
    withMenuArguments(['root=a', 'ro', 'quiet', 'console=tty0'], ['rw', 'root=b', 'quiet', 'console=hvc0']),
  ).toEqual(['console=tty0', 'rw', 'root=b', 'quiet', 'console=hvc0']);
  expect(withMenuArguments(['root=a', 'ro'], [])).toEqual(['root=a', 'ro']);
});

test('arguments of an earlier menu, which are in the definition now, are told of where they hide those of the menu', () => {
  const menu = ['root=UUID=12', 'ro', 'panic=5', 'nosmt', 'console=tty0'];
  const earlier = ['root=/dev/vda1', 'rw', 'panic=1', 'nosmt', 'mitigations=off', 'quiet', 'console=ttyS0'];
  const before = { ...onQemu, commandLine: earlier };
  for (const as of ['qemu', 'libvirt'] as const) {
    const again = guestThere(before, before, { ...request, as }, null, { ...kernel, arguments: menu });
    expect(again.losses.filter((one) => one.startsWith('The boot menu says'))).toEqual([
      'The boot menu says ro, and the definition rw, which counts. If the menu is right, take rw out of the definition first.',
      'The boot menu says panic=5, and the definition panic=1, which counts. If the menu is right, take panic=1 out of the definition first.',
    ]);
    expect(again.changes).toContain(
      "The definition's arguments that the boot menu does not have are kept: mitigations=off quiet. If an earlier move took them from the menu, take them out of the definition first.",
    );
  }
  // What xl added for pygrub was never of the menu.
  expect(there(kernel).changes.join('\n')).not.toContain('earlier move');
  const same = guestThere(before, before, request, null, { ...kernel, arguments: earlier });
  expect([...same.changes, ...same.losses].join('\n')).not.toMatch(/which counts|are kept/);
});

test('a guest that pygrub booted gets the arguments of its menu, with the new names, and no file of the new machine', () => {
  const { definition, changes, losses, newDiskIndexes } = there(kernel);
  expect(definition).toMatchObject({
    driver: 'qemu',
    kernel: null,
    initrd: null,
    disks: [{ device: 'vda', bus: 'virtio' }],
    commandLine: ['root=/dev/vda1', 'ro', 'quiet', 'console=ttyS0', 'extra=1'],
  });
  expect(definition).not.toHaveProperty('boot');
  expect(newDiskIndexes).toEqual([0]);
  expect(changes).toContain(
    "The kernel is the guest's own 6.1.0-9, /boot/vmlinuz-6.1 (by the link /vmlinuz); the initial RAM disk is /boot/initrd.img-6.1. They are taken out of its disk.",
  );
  expect(changes.join('\n')).toMatch(/Later upgrades of the kernel/);
  expect(changes.join('\n')).not.toContain("new machine's own");
  expect(losses).toContain('$vt_handoff of the boot menu is left out: only the boot loader knows its value.');
  expect(bootFilesThere(there(kernel))).toEqual({
    path: '/srv/web.img',
    offset: 1_048_576,
    kernel: '/boot/vmlinuz-6.1',
    initrds: ['/boot/initrd.img-6.1'],
  });
});

test('what the menu does not say of the root file system is in the fstab', () => {
  expect(there({ ...kernel, arguments: [] }).definition.commandLine).toEqual([
    'root=UUID=12',
    'ro',
    'extra=1',
    'console=ttyS0',
  ]);
});

test('a kernel without virtio gets a disk and a card that it has drivers for; an unknown one is told of', () => {
  const before = {
    ...pygrub,
    networkCards: [{ mac: '52:54:00:00:00:01', attachedTo: { kind: 'user' } as const }],
  };
  const old = there({ ...kernel, buses: ['xen', 'sata', 'ide'] }, before);
  expect(old.definition.disks).toMatchObject([{ device: 'sda', bus: 'sata' }]);
  expect(old.definition.networkCards).toMatchObject([{ model: 'e1000' }]);
  const unknown = there({ ...kernel, buses: null, initrds: [] }, before);
  expect(unknown.definition.disks).toMatchObject([{ bus: 'virtio' }]);
  expect(unknown.definition.networkCards).toMatchObject([{ model: 'virtio-net-pci' }]);
  expect(unknown.losses.join('\n')).toContain(
    'Whether the kernel 6.1.0-9 has a driver for its disk there is not known',
  );
  expect(unknown.changes.join('\n')).toContain('there is no initial RAM disk');
});

test('a guest that gets the kernel of the new machine needs no drivers of its own', () => {
  const drivers = Object.fromEntries(diskDrivers.map((driver) => [driver, 'absent']));
  const kernels = [{ version: '1', hasKernel: true, drivers, initrdDrivers: [] }];
  const system = { kernels } as unknown as GuestSystem;
  const { definition, losses } = guestThere(pygrub, pygrub, { ...request, kernel: null }, system);
  expect(definition.disks).toMatchObject([{ bus: 'virtio' }]);
  expect(losses.join('\n')).not.toContain('no driver');
});

test('a guest that stays with its hypervisor gets the kernel of its disk instead of that of the machine', () => {
  const before: GuestDefinition = {
    ...pygrub,
    driver: 'qemu',
    kernel: '/boot/machines',
    initrd: '/boot/machines.img',
    commandLine: ['root=/dev/vda1', 'rw'],
    disks: [{ device: 'vda', path: '/srv/web.img', readOnly: false, bus: 'virtio' }],
  };
  delete before.boot;
  delete before.virtualization;
  expect(there(kernel, before).definition.disks).toMatchObject([{ device: 'vda', bus: 'virtio' }]);
  const choices = { guestKernel: kernel };
  const stays = convertDefinition(before, { driver: 'qemu', choices });
  for (const path of ['/boot/machines', '/boot/machines.img'])
    expect(stays.changes).toContain(`${path} is no longer used to boot the guest.`);
  expect(stays).toMatchObject({
    definition: {
      kernel: null,
      initrd: null,
      commandLine: ['quiet', 'console=hvc0', 'root=/dev/vda1', 'rw'],
    },
  });
  const notSeen = convertDefinition(before, { driver: 'libvirt', choices: { guestKernel: 'not-seen' } });
  expect(notSeen.definition).toMatchObject({ kernel: null, initrd: null });
  expect(notSeen.changes).toContain(
    "The kernel is the guest's own. Which one that is, is told when its disk is there.",
  );
});

test('a guest that keeps its hypervisor, and with it the bus of its disk, has a driver for that, or is refused', () => {
  const bySystem = (diskIndex: number, buses: GuestKernel['buses']) => {
    const system = { root: { diskIndex, offset: 0 }, kernels: [] } as unknown as GuestSystem;
    return guestThere(onQemu, onQemu, request, system, { ...kernel, buses });
  };
  expect(there({ ...kernel, buses: ['ide', 'virtio'] }, onQemu).definition.disks).toEqual(onQemu.disks);
  expect(there({ ...kernel, buses: null }, onQemu).definition.disks).toEqual(onQemu.disks);
  expect(() => there({ ...kernel, buses: ['ide'] }, onQemu)).toThrow(
    expect.objectContaining({
      code: 'guest-unsupported',
      message: expect.stringContaining('has no driver for its disk vda (virtio)'),
      advice: expect.stringContaining('attach that disk by ide'),
    }),
  );
  // The kernel may lie on another disk than the system.
  expect(() => bySystem(1, ['virtio'])).toThrow('has no driver for its disk sda (usb)');
  expect(bySystem(0, ['virtio']).definition.disks).toEqual(onQemu.disks);
  // Under libvirt it gets another bus.
  const converted = guestThere(onQemu, onQemu, { ...request, as: 'libvirt' }, null, {
    ...kernel,
    buses: ['ide'],
  });
  expect(converted.definition.disks[0]).toMatchObject({ bus: 'ide' });
});

test.each([
  [true, { edited: [], isDoneAtBoot: true }],
  [null, { edited: [], isDoneAtBoot: true }],
  [false, { edited: ['/etc/fstab'], isDoneAtBoot: false }],
] as const)('the disk is edited only if the initial RAM disk has no shell: %s', (hasShell, expected) => {
  const system: GuestSystem = {
    root: { diskIndex: 0, offset: 0, length: 2 ** 20 },
    init: 'other',
    udev: 'none',
    files: { '/etc/fstab': '/dev/xvda1 / ext3 defaults 0 1\n' },
    cardNames: [],
    namedMacs: [],
    kernels: [],
    bootMenuRoots: [],
  };
  const planned = there({ ...kernel, hasShell });
  const definition = { ...planned.definition, initrd: '/state/initrd/web-1' };
  const fixups = planFixups(pygrub, { ...planned, definition }, request, system);
  expect({
    edited: fixups?.edits.map(({ path }) => path),
    isDoneAtBoot: fixups?.commandLine.includes('rdinit=/vmferry/init'),
  }).toEqual(expected);
});
