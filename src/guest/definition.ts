import { z } from 'zod';
import { Failure } from '../failure.ts';
import { imageFormats, type ImageFormat } from '../image/formats/image-format.ts';
import { issuesText, shortArray } from './short-array.ts';

export { qemuFormats, type ImageFormat as ImageFormatName } from '../image/formats/image-format.ts';

const driverKinds = ['uml', 'qemu', 'libvirt', 'xen', 'offline'] as const;
export type DriverKind = (typeof driverKinds)[number];

const buses = ['ide', 'sata', 'scsi', 'virtio', 'xen', 'usb', 'sd', 'fdc'] as const;
export type DiskBus = (typeof buses)[number];

const cacheModes = ['none', 'writeback', 'writethrough', 'directsync', 'unsafe'] as const;
export type CacheMode = (typeof cacheModes)[number];

/** One disk of a guest. It moves with the guest. */
export interface DiskDefinition {
  /** The guest's name for the slot: `ubd0` for User Mode Linux, `vda`, `sda`, `xvda1` for others. */
  device: string;
  /** Absolute path of the image on the machine that the definition belongs to. */
  path: string;
  readOnly: boolean;
  /** The driver's own letters for the slot, unchanged; for User Mode Linux some of `s`, `c`, `d`, `t`. */
  flags?: string;
  /** The serial number that the guest is shown. */
  serial?: string;
  /** Raw if absent. */
  format?: ImageFormat;
  /** Only for the format `cow`: absolute path of the file below it. If absent, that which the image names. */
  backing?: string;
  bus?: DiskBus;
  cache?: CacheMode;
  /** The variables of the UEFI firmware: attached as flash memory, and not seen as a disk by the guest. */
  purpose?: 'uefi-variables';
}

/** A drive whose medium does not move with the guest. */
export interface RemovableDrive {
  device: string;
  kind: 'cdrom' | 'floppy';
  bus?: DiskBus;
  /** Absolute path of the medium's image; null for an empty drive. */
  path: string | null;
}

export interface NetworkCard {
  /** Six pairs of lower-case hexadecimal digits, joined by colons. Absent: the hypervisor chooses one. */
  mac?: string;
  /** By QEMU's names: `virtio-net-pci`, `e1000`, `rtl8139`; for Xen also `vif`. */
  model?: string;
  attachedTo:
    | { kind: 'bridge' | 'network' | 'tap'; name: string }
    /** QEMU's network in user space. */
    | { kind: 'user' }
    /** A way that only its hypervisor knows; see `native`. */
    | { kind: 'other' };
}

export type Firmware = { kind: 'bios' } | { kind: 'uefi'; code: string | null };

/** The guest's definition in the language of its hypervisor. */
export interface NativeDefinition {
  /** libvirt: the domain's XML; Xen: the file for xl; QEMU: the arguments as a JSON list. */
  text: string;
  /** What the text says beyond the neutral fields, each with its place: `line 7: vtpm = …`. Lost under another hypervisor. */
  beyond: readonly string[];
}

/**
 * What a hypervisor needs to boot a guest, in one form for all hypervisors (doc/definition.md). It is plain JSON: it crosses
 * the wire and is kept in the guest's record.
 */
export interface GuestDefinition {
  /** The guest's name; for User Mode Linux its umid. It is used as a file name, too: see `isGuestName`. */
  name: string;
  driver: DriverKind;
  memoryBytes: number | null;
  cpuCount: number | null;
  /**
   * Absolute path of the kernel (for User Mode Linux: of the program itself). Null for an image that no guest uses, for a
   * guest that does not boot from a kernel, and where the machine's own kernel is to be used (`GuestDriver.complete`).
   */
  kernel: string | null;
  /** Absolute path of an initial RAM disk. */
  initrd: string | null;
  disks: readonly DiskDefinition[];
  /** The kernel's command line, in its order; for User Mode Linux everything else of it: root=, con0=, eth0=, … */
  commandLine: readonly string[];
  /** Where it boots from; from `kernel` if absent. */
  boot?: 'kernel' | 'firmware' | 'boot-loader';
  firmware?: Firmware;
  drives?: readonly RemovableDrive[];
  networkCards?: readonly NetworkCard[];
  /** The guest's device for its kernel's console. */
  console?: 'tty0' | 'ttyS0' | 'hvc0';
  clock?: 'utc' | 'localtime';
  machineType?: string;
  cpuModel?: string;
  uuid?: string;
  virtualization?: 'pv' | 'pvh' | 'hvm';
  /** Whether it starts with the machine. */
  autostart?: boolean;
  native?: NativeDefinition;
}

/** Whether it is an image that no guest uses: there is nothing to halt, boot or remember. */
export function isImageOnly({ driver }: Pick<GuestDefinition, 'driver'>): boolean {
  return driver === 'offline';
}

/** Leaves room in a file name (255 bytes) for an ending: `.partial`, `.json`. */
const maximumNameBytes = 200;

/**
 * Whether the text can be a guest's name. As a file name it must stay in its directory and not be hidden, as an argument it
 * must not look like an option, and it must have no invisible characters.
 */
export function isGuestName(name: string): boolean {
  return (
    /^[^\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}/]+$/u.test(name) &&
    !/^[.\-\s]|\s$/.test(name) &&
    new TextEncoder().encode(name).length <= maximumNameBytes
  );
}

const withoutNul = z.string().regex(/^[^\0]*$/, 'holds a NUL character');
const absolutePath = withoutNul.max(4096).startsWith('/', 'is not an absolute path');
const positiveInteger = z.int().positive();

const device = z.string().regex(/^[A-Za-z0-9]{1,32}$/);
/** A name in the configuration of a hypervisor: of a bridge, a model, a machine type. */
const plainName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/, 'is not a plain name');

const diskDefinition = z.strictObject({
  device,
  path: absolutePath,
  readOnly: z.boolean(),
  flags: z
    .string()
    .regex(/^[a-z]{0,16}$/)
    .exactOptional(),
  serial: z
    .string()
    .regex(/^[^\p{C}\s,:]{1,64}$/u)
    .exactOptional(),
  format: z.enum(imageFormats).exactOptional(),
  backing: absolutePath.exactOptional(),
  bus: z.enum(buses).exactOptional(),
  cache: z.enum(cacheModes).exactOptional(),
  purpose: z.literal('uefi-variables').exactOptional(),
});

const removableDrive = z.strictObject({
  device,
  kind: z.enum(['cdrom', 'floppy']),
  bus: z.enum(buses).exactOptional(),
  path: absolutePath.nullable(),
});

const networkCard = z.strictObject({
  mac: z
    .string()
    .regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/, 'is not a MAC address')
    .exactOptional(),
  model: plainName.exactOptional(),
  attachedTo: z.union([
    z.strictObject({ kind: z.enum(['bridge', 'network', 'tap']), name: plainName }),
    z.strictObject({ kind: z.enum(['user', 'other']) }),
  ]),
});

const firmware = z.union([
  z.strictObject({ kind: z.literal('bios') }),
  z.strictObject({ kind: z.literal('uefi'), code: absolutePath.nullable() }),
]);

const nativeDefinition = z.strictObject({
  text: withoutNul.max(262_144),
  beyond: shortArray(z.string().max(4096), 1024),
});

const guestDefinition = z.strictObject({
  name: z.string().refine(isGuestName, 'is not a guest name'),
  driver: z.enum(driverKinds),
  memoryBytes: positiveInteger.nullable(),
  cpuCount: positiveInteger.nullable(),
  kernel: absolutePath.nullable(),
  initrd: absolutePath.nullable(),
  disks: shortArray(diskDefinition, 256),
  commandLine: shortArray(withoutNul.min(1).max(65_536), 1024),
  boot: z.enum(['kernel', 'firmware', 'boot-loader']).exactOptional(),
  firmware: firmware.exactOptional(),
  drives: shortArray(removableDrive, 64).exactOptional(),
  networkCards: shortArray(networkCard, 64).exactOptional(),
  console: z.enum(['tty0', 'ttyS0', 'hvc0']).exactOptional(),
  clock: z.enum(['utc', 'localtime']).exactOptional(),
  machineType: plainName.exactOptional(),
  cpuModel: plainName.exactOptional(),
  uuid: z
    .string()
    .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'is not a UUID')
    .exactOptional(),
  virtualization: z.enum(['pv', 'pvh', 'hvm']).exactOptional(),
  autostart: z.boolean().exactOptional(),
  native: nativeDefinition.exactOptional(),
});

/**
 * Parses a definition from the wire or from a file. Throws Failure `guest-unsupported`, which says what is wrong. An
 * unknown field is refused, too: without it the guest could behave differently.
 */
export function parseGuestDefinition(json: unknown): GuestDefinition {
  const { success, data, error } = guestDefinition.safeParse(json);
  if (success) return data;
  throw new Failure('guest-unsupported', `The guest's definition is not valid: ${issuesText(error)}.`, {
    advice: 'Use the same version of vmferry on both machines.',
  });
}
