import type { DiskBus, DiskDefinition, RemovableDrive } from '../../../definition.ts';
import type { Backend } from './backends.ts';
import type { ValuePlace } from './reading.ts';

/** A disk or a drive of the guest, with the places of what can be replaced. */
export interface FoundDisk {
  definition: DiskDefinition;
  pathPlace: ValuePlace;
  formatPlace: ValuePlace | null;
  /** Whether the command line names the format. */
  isFormatGiven: boolean;
}

export interface FoundDrive {
  definition: RemovableDrive;
  pathPlace: ValuePlace | null;
}

/** What kind of device the guest sees, before it is given a name. */
export interface Slot {
  kind: 'disk' | 'cdrom' | 'floppy';
  bus: DiskBus | null;
  backend: Backend | null;
  serial: string | null;
  /** Where it stands among the devices of its bus. */
  position: number;
}

/** Linux' names: the disks of IDE, SATA, SCSI and USB share theirs. */
const nameBeginnings: readonly { buses: readonly (DiskBus | null)[]; prefix: string }[] = [
  { buses: ['virtio'], prefix: 'vd' },
  { buses: ['ide', 'sata', 'scsi', 'usb'], prefix: 'sd' },
];

export function nameSlots(slots: readonly Slot[]): { slot: Slot; device: string }[] {
  const counts = new Map<string, number>();
  const next = (prefix: string): number => {
    const count = counts.get(prefix) ?? 0;
    counts.set(prefix, count + 1);
    return count;
  };
  const order: readonly (DiskBus | null)[] = ['virtio', 'ide', 'sata', 'scsi', 'usb', 'sd', 'fdc', null];
  const sorted = slots.toSorted(
    (one, other) => order.indexOf(one.bus) - order.indexOf(other.bus) || one.position - other.position,
  );
  return sorted.map((slot) => {
    if (slot.kind === 'floppy') return { slot, device: `fd${next('fd')}` };
    if (slot.kind === 'cdrom') return { slot, device: `sr${next('sr')}` };
    const prefix = nameBeginnings.find(({ buses }) => buses.includes(slot.bus))?.prefix;
    if (prefix !== undefined) return { slot, device: prefix + letters(next(prefix)) };
    return { slot, device: slot.bus === 'sd' ? `mmcblk${next('mmc')}` : `nvme${next('nvme')}n1` };
  });
}

/** a … z, aa, ab, … */
export function letters(index: number): string {
  const last = String.fromCodePoint(97 + (index % 26));
  return index < 26 ? last : letters(Math.floor(index / 26) - 1) + last;
}

export function toDisk({ slot, device }: { slot: Slot; device: string }): FoundDisk[] {
  const { backend, bus, serial } = slot;
  // A disk without a file was noted as a problem.
  if (backend?.path === undefined || backend.path === null) return [];
  return [
    {
      definition: {
        device,
        path: backend.path,
        readOnly: backend.readOnly,
        ...(isSerial(serial) ? { serial } : {}),
        ...formatOf(backend),
        ...(bus === null ? {} : { bus }),
        ...(backend.cache === null ? {} : { cache: backend.cache }),
      },
      pathPlace: backend.pathPlace,
      formatPlace: backend.formatPlace,
      isFormatGiven: backend.format !== null,
    },
  ];
}

/** As `DiskDefinition.serial` must be. */
function isSerial(serial: string | null): serial is string {
  return serial !== null && /^[^\p{C}\s,:]{1,64}$/u.test(serial);
}

const endings: readonly [RegExp, NonNullable<DiskDefinition['format']>][] = [
  [/\.qcow2?$/i, 'qcow2'],
  [/\.vmdk$/i, 'vmdk'],
  [/\.vdi$/i, 'vdi'],
  [/\.vhdx$/i, 'vhdx'],
  [/\.(?:vhd|vpc)$/i, 'vpc'],
];

/** A format that is not given follows from the file's name. */
function formatOf({ format, path }: Backend): Pick<DiskDefinition, 'format'> {
  const found = format ?? endings.find(([ending]) => ending.test(path ?? ''))?.[1] ?? 'raw';
  return found === 'raw' ? {} : { format: found };
}

export function toDrive({ slot, device }: { slot: Slot; device: string }): FoundDrive {
  return {
    definition: {
      device,
      kind: slot.kind === 'floppy' ? 'floppy' : 'cdrom',
      ...(slot.bus === null ? {} : { bus: slot.bus }),
      path: slot.backend?.path ?? null,
    },
    pathPlace: slot.backend?.pathPlace ?? null,
  };
}
