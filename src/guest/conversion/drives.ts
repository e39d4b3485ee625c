import type { RemovableDrive } from '../definition.ts';
import { freeSlot } from './disk-names.ts';
import { isSameMachine, type DiskConversion } from './disks.ts';
import type { Ledger } from './ledger.ts';

/** The drives that the guest keeps. `taken` has the slots of all disks. */
export function convertDrives(
  drives: readonly RemovableDrive[],
  { from, target: { driver }, boot, taken }: DiskConversion,
  ledger: Ledger,
): RemovableDrive[] {
  return drives.flatMap((drive): RemovableDrive[] => {
    if (isSameMachine(from, driver)) return [drive];
    const { kind, device, bus, path } = drive;
    const name = `${kind === 'cdrom' ? 'CD-ROM' : 'floppy'} drive ${device}${bus === undefined ? '' : ` (${bus})`}, ${path ?? 'empty'},`;
    const isQemu = driver === 'qemu' || driver === 'libvirt';
    if (!isQemu && !(driver === 'xen' && boot === 'firmware' && kind === 'cdrom')) {
      ledger.losses.push(`The ${name} is left out.`);
      return [];
    }
    const isFloppy = kind === 'floppy';
    const isKept = (isFloppy ? /^fd[ab]$/ : /^hd[a-d]$/).test(device) && !taken.has(device);
    const slot = isKept ? device : freeSlot(isFloppy ? 'fdc' : 'ide', taken);
    taken.add(slot);
    const newBus = isFloppy ? 'fdc' : 'ide';
    if (slot !== device || newBus !== bus) ledger.changes.push(`The ${name} becomes ${slot} (${newBus}).`);
    return [{ device: slot, kind, bus: newBus, path }];
  });
}
