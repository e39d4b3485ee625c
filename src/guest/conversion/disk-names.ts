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
 * The names by which the guest's kernel knows the disk in a slot, less `/dev/`; the first is the usual one. An IDE disk is `sda`
 * to kernels since 2.6.28 or so, and `hda` to older ones.
 */
export function guestNames({
  device,
  bus,
}: {
  device: string;
  bus?: DiskBus;
}): readonly [string, ...string[]] {
  const [, ubd] = /^ubd(\d+|[a-z])$/.exec(device) ?? [];
  if (ubd !== undefined) {
    const index = /\d/.test(ubd) ? Number(ubd) : ubd.codePointAt(0)! - 97;
    return [`ubd${letters(index)}`, `ubd${index}`, `ubd/${index}`];
  }
  const [, ide] = /^hd([a-z])$/.exec(device) ?? [];
  return ide !== undefined && (bus === undefined || bus === 'ide') ? [`sd${ide}`, device] : [device];
}

/**
 * The index of the disk that a person names: by its slot, by its name in the guest (`ubda`), or `root`, for the disk of the root
 * file system. -1 if there is none.
 */
export function findDisk(
  { disks, commandLine }: Pick<GuestDefinition, 'disks' | 'commandLine'>,
  name: string,
): number {
  const bySlot = disks.findIndex(({ device }) => device === name);
  if (bySlot >= 0) return bySlot;
  const byName = disks.findIndex((disk) => guestNames(disk).includes(name));
  if (byName >= 0 || name !== 'root') return byName;
  const root = commandLine.find((argument) => argument.startsWith('root=/dev/'))?.slice('root=/dev/'.length);
  return disks.findIndex((disk) =>
    guestNames(disk).some((one) => root === one || partitionOf(one, root ?? '') !== null),
  );
}

/** `1` for `vda1` of `vda`, `p1` for `nbd0p1` of `nbd0`; null for another disk's. */
export function partitionOf(disk: string, name: string): string | null {
  if (!name.startsWith(disk)) return null;
  const rest = name.slice(disk.length);
  return (/\d$/.test(disk) ? /^p\d+$/ : /^\d+$/).test(rest) ? rest : null;
}
