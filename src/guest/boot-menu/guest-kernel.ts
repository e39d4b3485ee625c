import type { DiskBus } from '../definition.ts';

/** The files of a guest that its hypervisor loads to boot it. */
export interface BootFiles {
  /** Paths in one file system of the guest. */
  kernel: string;
  /** One after the other they are the initial RAM disk; there may be none. */
  initrds: readonly string[];
}

/** The kernel that a guest boots by itself. */
export interface GuestKernel extends BootFiles {
  /** The disk of the definition that holds them, and where their file system lies on it, in bytes. */
  place: { diskIndex: number; offset: number };
  /** `6.1.0-57-amd64` */
  version: string;
  /** How it was found, for a sentence: `the entry ‘Debian’ of /boot/grub/grub.cfg`. */
  foundBy: string;
  /** What the boot menu tells the kernel. */
  arguments: readonly string[];
  /** Words of the menu that only the boot loader understands. */
  leftOut: readonly string[];
  /** The root file system by /etc/fstab: `UUID=…`. Null if that does not say. */
  root: string | null;
  /** The buses on which this kernel finds a disk, best first; null if that is not known. */
  buses: readonly DiskBus[] | null;
  /** Whether its initial RAM disk has /bin/sh, so that something can be done at boot; null if that is not known. */
  hasShell: boolean | null;
}

/** A file of more bytes is not taken out of a guest. */
export const MOST_KERNEL_BYTES = 64 * 2 ** 20;
