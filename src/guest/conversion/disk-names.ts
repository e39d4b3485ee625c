import { diskNames } from '../adaptation/disk-names.ts';
import type { DiskBus, GuestDefinition } from '../definition.ts';

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

/** A slot that is free on the bus. User Mode Linux has slots of its own, and no bus. */
export function freeSlot(bus: DiskBus | null, taken: ReadonlySet<string>): string {
  for (let index = 0; ; index += 1) {
    const slot = bus === null ? `ubd${index}` : `${prefixes[bus]}${letters(index)}`;
    if (!taken.has(slot)) return slot;
  }
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
 * the disk of the root file system. -1 if there is none.
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
  const root = commandLine.findLast((argument) => argument.startsWith('root='))?.slice('root=/dev/'.length);
  const holds = (one: string) => root !== undefined && new RegExp(`^${one}(?:p?\\d+)?$`).test(root);
  const byRoot = names.findIndex((all) => all.some(holds));
  // A single disk has the root file system, whatever the guest calls it.
  return indexIn(byRoot < 0 && seen.length === 1 ? 0 : byRoot);
}
