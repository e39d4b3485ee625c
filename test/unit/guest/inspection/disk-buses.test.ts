import { describe, expect, test } from '@jest/globals';
import { bootableBuses, hasModulesOf } from '../../../../src/guest/inspection/disk-buses.ts';
import type {
  DiskDriver,
  DriverPlace,
  GuestKernelModules,
  GuestSystem,
} from '../../../../src/guest/inspection/guest-system.ts';
import { driverPlace } from '../../../../src/guest/inspection/inspect-kernels.ts';

const absent: Record<DiskDriver, DriverPlace> = {
  virtio_blk: 'absent',
  virtio_scsi: 'absent',
  xen_blkfront: 'absent',
  ata_piix: 'absent',
  ahci: 'absent',
  sd_mod: 'absent',
};

function systemWith(...kernels: GuestKernelModules[]): GuestSystem {
  const root = { diskIndex: 0, offset: 0, length: 0 };
  const others = { files: {}, cardNames: [], namedMacs: [], bootMenuRoots: [] };
  return { root, init: 'systemd', udev: 'link-files', kernels, ...others };
}

function kernel(drivers: Partial<Record<DiskDriver, DriverPlace>>, initrdDrivers: DiskDriver[] | null) {
  return { version: '6.1', hasKernel: true, drivers: { ...absent, ...drivers }, initrdDrivers };
}

describe('a guest that boots its own kernel finds its disk', () => {
  test.each([
    ['by drivers in the kernel', kernel({ xen_blkfront: 'built-in' }, null), ['xen']],
    ['by modules in the initial RAM disk', kernel({ virtio_blk: 'module' }, ['virtio_blk']), ['virtio']],
    ['not by modules on the disk itself', kernel({ virtio_blk: 'module', ahci: 'module' }, ['ahci']), []],
    ['on IDE, with a mixture', kernel({ ata_piix: 'module', sd_mod: 'built-in' }, ['ata_piix']), ['ide']],
  ])('%s', (_, one, buses) => {
    expect(bootableBuses(systemWith(one))).toEqual(buses);
  });

  test.each([
    ['no kernel is there', systemWith()],
    ['there are modules, but no kernel', systemWith({ ...kernel({}, null), hasKernel: false })],
    ['its initial RAM disk is unknown', systemWith(kernel({ virtio_blk: 'module' }, null))],
  ])('or it cannot be told, because %s', (_, system) => {
    expect(bootableBuses(system)).toBeNull();
  });

  test('by its newest kernel', () => {
    const older = { ...kernel({ virtio_blk: 'built-in' }, null), version: '5.10' };
    expect(bootableBuses(systemWith(older, kernel({ ahci: 'built-in', sd_mod: 'built-in' }, null)))).toEqual([
      'sata',
    ]);
  });
});

test('a kernel from outside needs its modules in a guest that has modules', () => {
  expect(hasModulesOf(systemWith(kernel({}, null)), '6.1')).toBe(true);
  expect(hasModulesOf(systemWith(kernel({}, null)), '6.2')).toBe(false);
  expect(hasModulesOf(systemWith(), '6.2')).toBeNull();
});

test.each([
  ['built-in', 'kernel/drivers/block/virtio_blk.ko\n', ''],
  ['module', '', 'kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko\n'],
  ['module', '', 'kernel/drivers/block/virtio_blk.ko.xz:\n'],
  ['module', '', 'kernel/drivers/block/virtio-blk.ko.zst:'],
  ['absent', 'kernel/drivers/block/xvirtio_blk.ko\n', 'kernel/a.ko: kernel/drivers/block/virtio_blk.ko\n'],
])('a driver is %s, by modules.builtin %j and modules.dep %j', (place, builtIn, modules) => {
  expect(driverPlace('virtio_blk', builtIn, modules)).toBe(place);
});
