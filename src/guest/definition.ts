export type DriverKind = 'uml' | 'offline';

/** One disk of a guest. */
export interface DiskDefinition {
  /** What the guest calls the slot: `ubd0` for User Mode Linux. */
  device: string;
  /** Absolute path of the image on the machine that the definition belongs to. */
  path: string;
  readOnly: boolean;
}

/**
 * What a hypervisor needs to boot a guest, in one form for all of them. Plain JSON: it crosses the wire and is
 * kept in the guest's record.
 */
export interface GuestDefinition {
  /** The guest's name; for User Mode Linux its umid. Also a file name: see `isGuestName`. */
  name: string;
  driver: DriverKind;
  memoryBytes: number | null;
  cpuCount: number | null;
  /** Absolute path of the kernel (for User Mode Linux: of the program itself); null where nothing boots. */
  kernel: string | null;
  /** Absolute path of an initial RAM disk. */
  initrd: string | null;
  disks: readonly DiskDefinition[];
  /** Everything else of the kernel's command line, in its order: root=, con0=, eth0=, … */
  commandLine: readonly string[];
}
