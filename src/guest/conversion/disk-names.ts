import { diskNames, partitionOf } from '../adaptation/disk-names.ts';
import type { HypervisorKind } from '../definition-language.ts';
import type { DiskBus, GuestDefinition } from '../definition.ts';
import { rootDevice } from './root-device.ts';

/** The letters of the n-th disk, as Linux counts: a … z, aa … */
function letters(index: number): string {
  const last = String.fromCodePoint(97 + (index % 26));
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last;
}

const prefixes: Readonly<Record<DiskBus, string>> = {
  ide: 'hd',
  sata: 'sd',
  scsi: 'sd',
  usb: 'sd',
  virtio: 'vd',
  xen: 'xvd',
  sd: 'sd',
  fdc: 'fd',
};

/** QEMU's devices have no slots of their own: they are called what Linux calls them. The order of its buses counts. */
const busesOfQemu: readonly DiskBus[] = ['virtio', 'ide', 'sata', 'scsi', 'usb', 'sd'];

function prefixOf(driver: HypervisorKind, bus: DiskBus): string {
  return driver === 'qemu' && bus === 'ide' ? 'sd' : prefixes[bus];
}

export interface SlotWish {
  /** Null for User Mode Linux, which has slots of its own. */
  bus: DiskBus | null;
  /** The slot that it had. */
  had: string;
}

/** The slots of all disks, in their order: what they had where it fits, else the next free one of the bus. */
export function assignSlots(
  driver: HypervisorKind,
  wishes: readonly SlotWish[],
  taken: Set<string>,
): string[] {
  const isKept = wishes.map(({ bus, had }) => {
    const fits = bus !== null && new RegExp(`^${prefixOf(driver, bus)}[a-z]+$`).test(had);
    if (driver === 'qemu' || !fits || taken.has(had)) return false;
    taken.add(had);
    return true;
  });
  const slots = wishes.map(({ had }) => had);
  const order = wishes.map((_, index) => index);
  const rank = (index: number) => busesOfQemu.indexOf(wishes[index]?.bus ?? 'virtio');
  if (driver === 'qemu') order.sort((one, other) => rank(one) - rank(other));
  for (const index of order) {
    const bus = wishes[index]?.bus ?? null;
    if (isKept[index] !== true) slots[index] = freeSlot(bus === null ? null : prefixOf(driver, bus), taken);
  }
  return slots;
}

/** Takes the first free slot whose name begins so; null for User Mode Linux, which counts. */
function freeSlot(prefix: string | null, taken: Set<string>): string {
  for (let index = 0; ; index += 1) {
    const slot = prefix === null ? `ubd${index}` : `${prefix}${letters(index)}`;
    if (taken.has(slot)) continue;
    taken.add(slot);
    return slot;
  }
}

/** The slot of a CD-ROM or floppy drive. */
export function driveSlot(driver: HypervisorKind, bus: DiskBus, had: string, taken: Set<string>): string {
  if (driver === 'qemu') {
    const prefix = bus === 'fdc' ? 'fd' : 'sr';
    for (let index = 0; ; index += 1) {
      const slot = `${prefix}${index}`;
      if (taken.has(slot)) continue;
      taken.add(slot);
      return slot;
    }
  }
  const [slot = had] = assignSlots(driver, [{ bus, had }], taken);
  return slot;
}

/** The bus that a slot's name tells; undefined if it does not. `sda` may be on several. */
export function busOfSlot(slot: string): DiskBus | undefined {
  if (/^vd[a-z]+/.test(slot)) return 'virtio';
  if (/^xvd[a-z]+/.test(slot)) return 'xen';
  if (/^hd[a-z]+/.test(slot)) return 'ide';
  return /^sd[a-z]+/.test(slot) ? 'scsi' : undefined;
}

/**
 * The index of the disk that a person names: by its slot, by its name in the guest (`ubda`), by its file's name, or `root`, for
 * the disk of the root file system. That is the first disk if the kernel's command line does not name another one. -1 if there is none.
 */
export function findDisk(definition: GuestDefinition, name: string): number {
  const { disks, commandLine } = definition;
  const bySlot = disks.findIndex(({ device }) => device === name);
  if (bySlot >= 0) return bySlot;
  const byFile = disks.findIndex(({ path }) => path.slice(path.lastIndexOf('/') + 1) === name);
  if (byFile >= 0) return byFile;
  const seen = disks.filter(({ purpose }) => purpose === undefined);
  const names = diskNames({ ...definition, disks: seen });
  const indexIn = (place: number) => disks.findIndex((disk) => disk === seen[place]);
  const byName = names.findIndex((all) => all.includes(name));
  if (byName >= 0 || name !== 'root') return indexIn(byName);
  const root = rootDevice(commandLine) ?? '';
  const holds = (disk: string) => root === disk || partitionOf(root, disk) !== null;
  const byRoot = names.findIndex((all) => all.some(holds));
  return indexIn(Math.max(byRoot, 0));
}
