import type { DiskBus } from '../definition.ts';
import type { DiskDriver, GuestKernelModules, GuestSystem } from './guest-system.ts';

/** What a kernel needs for a disk on each bus. QEMU's machine `pc` has IDE by the chip PIIX, `q35` SATA by AHCI. */
const driversByBus: readonly { bus: DiskBus; drivers: readonly DiskDriver[] }[] = [
  { bus: 'virtio', drivers: ['virtio_blk'] },
  { bus: 'xen', drivers: ['xen_blkfront'] },
  { bus: 'scsi', drivers: ['virtio_scsi', 'sd_mod'] },
  { bus: 'sata', drivers: ['ahci', 'sd_mod'] },
  { bus: 'ide', drivers: ['ata_piix', 'sd_mod'] },
];

/**
 * The buses on which a guest that boots its own kernel finds its root disk, best first. Null if that cannot be told,
 * because no kernel with modules was found in the guest, or its initial RAM disk could not be unpacked.
 */
export function bootableBuses({ kernels }: GuestSystem): DiskBus[] | null {
  // A boot loader takes the newest.
  const kernel = kernels.findLast(({ hasKernel }) => hasKernel);
  return kernel === undefined ? null : busesOfKernel(kernel);
}

/** The same for one kernel. Null if its initial RAM disk is not known. */
export function busesOfKernel(
  kernel: Pick<GuestKernelModules, 'drivers' | 'initrdDrivers'>,
): DiskBus[] | null {
  const areModules = Object.values(kernel.drivers).includes('module');
  if (areModules && kernel.initrdDrivers === null) return null;
  return driversByBus
    .filter(({ drivers }) => drivers.every((one) => isThereAtBoot(kernel, one)))
    .map(({ bus }) => bus);
}

/** A module has to be in the initial RAM disk: the others are on the disk that it is for. */
function isThereAtBoot(
  { drivers, initrdDrivers }: Pick<GuestKernelModules, 'drivers' | 'initrdDrivers'>,
  driver: DiskDriver,
): boolean {
  return drivers[driver] === 'built-in' || (initrdDrivers ?? []).includes(driver);
}

/**
 * Whether a kernel from outside finds its modules in the guest, without which a card or a file system may be missing. Null if
 * the guest has no modules at all, as guests of User Mode Linux often have none.
 */
export function hasModulesOf({ kernels }: GuestSystem, version: string): boolean | null {
  return kernels.length === 0 ? null : kernels.some((kernel) => kernel.version === version);
}
