/** What is inside a guest, as far as a move to another hypervisor depends on it. */
export interface GuestSystem {
  /** The disk that holds the root file system: its index in the definition, and where it lies on the disk, in bytes. */
  root: { diskIndex: number; offset: number; length: number };
  init: 'systemd' | 'sysvinit' | 'busybox' | 'other';
  /** How its udev can be told the name of a network card; `none`: the kernel's own names stay. */
  udev: 'link-files' | 'rules' | 'none';
  /** Texts of small files, by path. Each character is a byte (latin1). Files that are missing are not in it. */
  files: Readonly<Record<string, string>>;
  /** Names of network cards that its configuration uses, each once. */
  cardNames: readonly string[];
  /** MAC addresses, in lower case, to which the guest itself gives a name. */
  namedMacs: readonly string[];
  kernels: readonly GuestKernelModules[];
  /** What its own boot menu tells its kernels of the root file system: `/dev/sda1`, `UUID=…`. */
  bootMenuRoots: readonly string[];
}

/** A kernel whose modules are in the guest. */
export interface GuestKernelModules {
  /** `6.1.0-57-amd64` */
  version: string;
  /** Whether the kernel itself is in the guest, in /boot or on a file system of its own. */
  hasKernel: boolean;
  /** Drivers of disks, of those in `diskDrivers`. */
  drivers: Readonly<Record<DiskDriver, DriverPlace>>;
  /** Those of them that its initial RAM disk has, as far as they are modules; null if that is not known. */
  initrdDrivers: readonly DiskDriver[] | null;
}

/** The kernel's names of drivers that a disk on each bus needs. */
export const diskDrivers = [
  'virtio_blk',
  'virtio_scsi',
  'xen_blkfront',
  'ata_piix',
  'ahci',
  'sd_mod',
] as const;
export type DiskDriver = (typeof diskDrivers)[number];

export type DriverPlace = 'built-in' | 'module' | 'absent';
