import { Failure } from '../../failure.ts';
import type { HypervisorKind } from '../definition-language.ts';
import {
  qemuFormats,
  type DiskBus,
  type DiskDefinition,
  type GuestDefinition,
  type ImageFormatName,
} from '../definition.ts';
import { withImage } from '../disks/with-image.ts';
import { assignSlots, busOfSlot, findDisk, type SlotWish } from './disk-names.ts';
import type { ConversionTarget } from './choices.ts';
import type { Ledger } from './ledger.ts';

/** Formats that a hypervisor reads by itself. */
const readable: Readonly<Record<HypervisorKind, readonly ImageFormatName[]>> = {
  uml: ['raw', 'cow'],
  xen: ['raw', 'qcow2', 'vpc'],
  qemu: qemuFormats,
  libvirt: qemuFormats,
};

/** One of the four is left for a CD-ROM drive. */
const MOST_IDE_DISKS = 3;

/** For each disk of the old definition, the one that it becomes; null for one that is left behind. */
export type ConvertedDisks = readonly (DiskDefinition | null)[];

export interface DiskConversion {
  from: HypervisorKind;
  target: ConversionTarget;
  /** The boot of the new definition. */
  boot: NonNullable<GuestDefinition['boot']>;
  /** Slots in use; those of the new disks are added. */
  taken: Set<string>;
}

export function convertDisks(
  definition: GuestDefinition,
  conversion: DiskConversion,
  ledger: Ledger,
): ConvertedDisks {
  const seen = definition.disks.filter(({ purpose }) => purpose === undefined);
  const wishes: SlotWish[] = [];
  for (const disk of seen) {
    const others = wishes.filter(({ bus }) => bus === 'ide').length;
    wishes.push({
      bus: keptBus(disk, conversion) ?? chooseBus(disk, others, conversion, ledger),
      had: disk.device,
    });
  }
  const slots = assignSlots(conversion.target.driver, wishes, conversion.taken);
  const placed = seen.map((disk, index) => {
    const { bus = null } = wishes[index] ?? {};
    return convertSettings(
      disk,
      inSlot(disk, slots[index] ?? disk.device, bus, ledger),
      conversion.target.driver,
      ledger,
    );
  });
  return definition.disks.map((disk) =>
    disk.purpose === undefined
      ? (placed[seen.indexOf(disk)] ?? null)
      : convertVariables(disk, conversion, ledger),
  );
}

/** The disks at the places that were chosen for them. Throws Failure `usage` for a disk that the guest does not have. */
export function placeDisks(
  definition: GuestDefinition,
  { choices }: ConversionTarget,
  ledger: Ledger,
): GuestDefinition {
  const disks = [...definition.disks];
  for (const [name, { path, format }] of choices.disks ?? []) {
    const index = findDisk(definition, name);
    const disk = definition.disks[index];
    if (disk === undefined) {
      const known = definition.disks.map(({ device }) => device).join(', ');
      throw new Failure(
        'usage',
        `${definition.name} has no disk ${name}. It has ${known === '' ? 'none' : known}.`,
      );
    }
    const { format: old = 'raw' } = disk;
    const chosen = format ?? old;
    disks[index] = withImage(disk, { path, format: chosen });
    if (path !== disk.path)
      ledger.changes.push(`The disk ${disk.device} is ${path}, instead of ${disk.path}.`);
    if (chosen !== old)
      ledger.changes.push(
        `The image ${path} of the disk ${disk.device} has the format ${chosen}, instead of ${old}.`,
      );
  }
  return { ...definition, disks };
}

/** QEMU itself, under two managers. */
export function isSameMachine(from: HypervisorKind, to: HypervisorKind): boolean {
  const isQemu = (kind: HypervisorKind) => kind === 'qemu' || kind === 'libvirt';
  return from === to || (isQemu(from) && isQemu(to));
}

function convertVariables(
  disk: DiskDefinition,
  { from, target: { driver }, boot }: DiskConversion,
  ledger: Ledger,
): DiskDefinition | null {
  if (boot === 'firmware' && isSameMachine(from, driver)) return disk;
  ledger.losses.push(
    `The UEFI variables in ${disk.path} (${disk.device}) stay behind: the firmware there begins with new ones, and finds the boot loader at its usual place.`,
  );
  return null;
}

/** The bus that the disk stays on; undefined if another has to be chosen. */
function keptBus(
  { device, bus = busOfSlot(device) }: DiskDefinition,
  { from, target: { driver, choices } }: DiskConversion,
): DiskBus | undefined {
  const isOffered = bus !== undefined && (choices.buses?.includes(bus) ?? true);
  return isSameMachine(from, driver) && isOffered ? bus : undefined;
}

function inSlot(disk: DiskDefinition, device: string, bus: DiskBus | null, ledger: Ledger): DiskDefinition {
  const { bus: _, ...rest } = disk;
  if (device !== disk.device || bus !== (disk.bus ?? null)) {
    const before = disk.bus === undefined ? disk.device : `${disk.device} (${disk.bus})`;
    ledger.changes.push(`The disk ${before} becomes ${device}${bus === null ? '' : ` (${bus})`}.`);
  }
  return { ...rest, device, ...(bus === null ? {} : { bus }) };
}

function chooseBus(
  disk: DiskDefinition,
  ideDisks: number,
  { target: { driver, choices }, boot }: DiskConversion,
  ledger: Ledger,
): DiskBus | null {
  if (driver === 'uml') return null;
  const isXen = driver === 'xen';
  const first: DiskBus = isXen ? 'xen' : 'virtio';
  // Of the old emulated buses, QEMU and Xen have none that takes a disk that is only read.
  const others: readonly DiskBus[] =
    disk.readOnly || (isXen && boot !== 'firmware') ? [] : isXen ? ['ide'] : ['scsi', 'sata', 'ide'];
  const isFull = (bus: DiskBus) => bus === 'ide' && ideDisks >= MOST_IDE_DISKS;
  const fits = (bus: DiskBus) => (bus === first || others.includes(bus)) && !isFull(bus);
  const known = choices.buses?.find(fits);
  if (known !== undefined) return known;
  if (choices.buses !== undefined) {
    ledger.losses.push(
      `The guest has no driver for a bus that the disk ${disk.device} can be on. It is on ${first}, where the guest may not find it.`,
    );
    return first;
  }
  if (boot !== 'firmware') return first;
  // Its own kernel boots it: a bus that it had, or one that any kernel has a driver for.
  const had = disk.bus ?? busOfSlot(disk.device);
  return had !== undefined && fits(had) ? had : fits('ide') ? 'ide' : first;
}

function convertSettings(
  { cache, flags, serial, format = 'raw' }: DiskDefinition,
  placed: DiskDefinition,
  driver: HypervisorKind,
  ledger: Ledger,
): DiskDefinition {
  const { cache: _cache, flags: _flags, serial: _serial, format: _format, backing, ...rest } = placed;
  const name = placed.device;
  const isQemu = driver === 'qemu' || driver === 'libvirt';
  const isSynchronous = flags?.includes('s') === true;
  const others = (flags ?? '').replaceAll('s', '');
  if (others !== '')
    ledger.losses.push(`The flags ${flags} of the disk ${name} are known to User Mode Linux only.`);
  if (isSynchronous && isQemu && cache === undefined)
    ledger.changes.push(
      `The flag s of the disk ${name} (flags ${flags}) becomes the cache mode writethrough.`,
    );
  else if (isSynchronous && others === '')
    ledger.losses.push(`The flag s of the disk ${name} (written synchronously) is lost.`);
  const newFlags = driver === 'uml' && cache === 'writethrough' ? 's' : undefined;
  if (newFlags !== undefined)
    ledger.changes.push(`The cache mode writethrough of the disk ${name} becomes the flag s.`);
  else if (cache !== undefined && !isQemu)
    ledger.losses.push(`The cache mode ${cache} of the disk ${name} is lost.`);
  const keepsFormat = readable[driver].includes(format);
  if (!keepsFormat)
    ledger.changes.push(`The image of the disk ${name} has to be raw: ${driver} does not read ${format}.`);
  if (serial !== undefined && driver === 'xen')
    ledger.losses.push(`The serial number ${serial} of the disk ${name} is lost.`);
  const newCache = isQemu ? (cache ?? (isSynchronous ? 'writethrough' : undefined)) : undefined;
  return {
    ...rest,
    ...(keepsFormat && format !== 'raw' ? { format } : {}),
    ...(keepsFormat && backing !== undefined ? { backing } : {}),
    ...(newCache === undefined ? {} : { cache: newCache }),
    ...(newFlags === undefined ? {} : { flags: newFlags }),
    ...(serial === undefined || driver === 'xen' ? {} : { serial }),
  };
}
