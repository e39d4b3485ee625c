import type { DiskDefinition, GuestDefinition } from '../definition.ts';

/** A disk's name in the guest changes: `ubda` becomes `vda`. Names are without `/dev/`. */
export interface DiskRename {
  from: string;
  to: string;
}

/** What becomes of the names of disks, seen from within the guest. */
export interface DiskChanges {
  renames: readonly DiskRename[];
  /** The names of all disks on the new side. */
  present: readonly string[];
  /** The names, on the old side, of disks that do not come along: on the new side another disk may have such a name. */
  gone: readonly string[];
}

/**
 * All names that a guest's files may have for each of its disks; the first is what a present-day kernel calls it. What
 * the guest does not see as a disk (variables of the firmware) has none.
 * - User Mode Linux: slot `ubd0` is `ubda`; years ago also `ubd0` and `ubd/0` (arch/um/drivers/ubd_kern.c).
 * - Xen: a paravirtual kernel calls `sda` and `hda` `xvda` (xlvbd_alloc_gendisk in drivers/block/xen-blkfront.c).
 * - IDE: `hda` before libata, `sda` since.
 */
export function diskNames({ driver, disks, virtualization }: GuestDefinition): string[][] {
  let scsiDisks = 0;
  const nextScsiName = (): string => `sd${letters(scsiDisks++)}`;
  const names = disks.map((disk) => {
    if (disk.purpose !== undefined) return [];
    if (driver === 'uml') return umlNames(disk);
    if (driver === 'xen' && virtualization !== 'hvm')
      return unique([disk.device.replace(/^[hs]d/, 'xvd'), disk.device]);
    return isScsiForKernel(disk) ? unique([nextScsiName(), disk.device]) : [disk.device];
  });
  // A second name of one disk never hides the first name of another.
  const firsts = names.map(([first]) => first);
  return names.map((all) => all.filter((name, index) => index === 0 || !firsts.includes(name)));
}

function umlNames({ device }: DiskDefinition): string[] {
  const slot = device.slice('ubd'.length);
  if (!/^\d+$/.test(slot)) return [device];
  return [`ubd${letters(Number(slot))}`, device, `ubd/${slot}`];
}

function isScsiForKernel({ bus, device }: DiskDefinition): boolean {
  if (bus !== undefined) return ['ide', 'sata', 'scsi', 'usb'].includes(bus);
  return /^[hs]d[a-z]+$/.test(device);
}

/** 0 is `a`, 25 is `z`, 26 is `aa`. */
function letters(index: number): string {
  const last = String.fromCodePoint(97 + (index % 26));
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last;
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}

/**
 * Compares the disks of two definitions.
 * @param newIndexes for each disk of `from`, its index in `to`; null for one that does not come along. In the same order
 *   unless given.
 */
export function diskChanges(
  from: GuestDefinition,
  to: GuestDefinition,
  newIndexes: readonly (number | null)[] = from.disks.map((_, index) => index),
): DiskChanges {
  const newNames = diskNames(to);
  const present = newNames.flatMap(([first]) => (first === undefined ? [] : [first]));
  const oldNames = diskNames(from);
  const gone = oldNames.flatMap((names, index) => (newIndexes[index] === null ? names : []));
  const renames = oldNames.flatMap((names, index) => {
    const newIndex = newIndexes[index];
    const name = newIndex === undefined || newIndex === null ? undefined : newNames[newIndex]?.[0];
    if (name === undefined) return [];
    return names.filter((old) => old !== name).map((old) => ({ from: old, to: name }));
  });
  return { renames, present, gone };
}

export type DiskFate = { kind: 'same' } | { kind: 'renamed'; name: string } | { kind: 'absent' };

/** Names of disks and partitions that a kernel gives by order: they mean another disk, or none, on another machine. */
const givenByOrder = /^(?:(?:ubd|[hsv]d|xvd)[a-z]+\d*|ubd\/?\d+(?:p\d+)?)$/;

/** What becomes of the name of a disk or partition, such as `ubda1`. */
export function diskFate(name: string, { renames, present, gone }: DiskChanges): DiskFate {
  const isOf = (disk: string): boolean => name === disk || partitionOf(name, disk) !== null;
  for (const { from, to } of renames) {
    if (name === from) return { kind: 'renamed', name: to };
    const partition = partitionOf(name, from);
    if (partition !== null && !isPartition(to))
      return { kind: 'renamed', name: `${to}${/\d$/.test(to) ? 'p' : ''}${partition}` };
  }
  if (gone.some(isOf)) return { kind: 'absent' };
  if (present.some(isOf)) return { kind: 'same' };
  return givenByOrder.test(name) ? { kind: 'absent' } : { kind: 'same' };
}

/** The number of a partition of the disk; null if the name is not of one. */
export function partitionOf(name: string, disk: string): string | null {
  if (!name.startsWith(disk) || isPartition(disk)) return null;
  const [, separator, number] = /^(p?)([1-9]\d*)$/.exec(name.slice(disk.length)) ?? [];
  if (number === undefined || (separator === 'p') !== /\d$/.test(disk)) return null;
  return number;
}

/** Xen can show an image as a single partition, without its disk. */
function isPartition(name: string): boolean {
  return /^(?:[hsv]d|xvd|ubd)[a-z]+\d+$/.test(name);
}
