import type { RemovableDrive } from '../definition.ts';
import { driveSlot } from './disk-names.ts';
import { isSameMachine, type DiskConversion } from './disks.ts';
import type { Ledger } from './ledger.ts';

/** The drives that the guest keeps. `taken` has the slots of all disks. */
export function convertDrives(
  drives: readonly RemovableDrive[],
  { from, target: { driver }, boot, taken }: DiskConversion,
  ledger: Ledger,
): RemovableDrive[] {
  return drives.flatMap((drive): RemovableDrive[] => {
    const { kind, device, bus, path } = drive;
    const name = `${kind === 'cdrom' ? 'CD-ROM' : 'floppy'} drive ${device}${bus === undefined ? '' : ` (${bus})`}, ${path ?? 'empty'},`;
    const isQemu = driver === 'qemu' || driver === 'libvirt';
    if (!isQemu && !(driver === 'xen' && boot === 'firmware' && kind === 'cdrom')) {
      ledger.losses.push(`The ${name} is left out.`);
      return [];
    }
    const newBus = kind === 'floppy' ? 'fdc' : isSameMachine(from, driver) ? (bus ?? 'ide') : 'ide';
    const slot = driveSlot(driver, newBus, device, taken);
    if (slot !== device || newBus !== bus) ledger.changes.push(`The ${name} becomes ${slot} (${newBus}).`);
    return [{ device: slot, kind, bus: newBus, path }];
  });
}
