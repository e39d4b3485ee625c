import type { FileEdit } from '../../image/contents/file-edit.ts';
import type { GuestSystem } from '../inspection/guest-system.ts';
import { diskFate, type DiskChanges, type DiskRename } from './disk-names.ts';
import { editFstab, parseFstabLine } from './edit-fstab.ts';
import { editOf } from './file-edits.ts';

export interface FstabPlan {
  edits: readonly FileEdit[];
  /** Disks that get their former names at boot. */
  disks: readonly DiskRename[];
  /** Single names in /dev, disks and partitions. */
  links: readonly DiskRename[];
  commandLine: readonly string[];
  changes: readonly string[];
  warnings: readonly string[];
}

const nothing: FstabPlan = { edits: [], disks: [], links: [], commandLine: [], changes: [], warnings: [] };
const path = '/etc/fstab';

/** How the names of disks in /etc/fstab come to mean the right disks: by links at boot, else by an edit. */
export function planFstab(
  system: GuestSystem | null,
  disks: DiskChanges,
  mayUseBoot: boolean,
  isOtherHypervisor: boolean,
): FstabPlan {
  if (system === null || !(isOtherHypervisor || disks.renames.length > 0)) return nothing;
  if (mayUseBoot) {
    const plan = planLinks(system.files[path] ?? '', disks, system.init);
    if (plan !== null) return plan;
  }
  const edited = editOf(system, path, (text) => editFstab(text, disks));
  return { ...nothing, ...edited };
}

/** Null if links cannot do it, because a former name is now another disk's. */
function planLinks(text: string, disks: DiskChanges, init: GuestSystem['init']): FstabPlan | null {
  const used = text.split('\n').flatMap((line) => {
    const entry = parseFstabLine(line);
    return entry?.device === undefined ? [] : [{ ...entry, name: entry.device }];
  });
  const links = used.flatMap(({ name }) => {
    const fate = diskFate(name, disks);
    return fate.kind === 'renamed' ? [{ from: name, to: fate.name }] : [];
  });
  const renamed = disks.renames.filter(({ from }) =>
    links.some((link) => link.from === from || link.from.startsWith(from)),
  );
  const newNames: DiskChanges = { renames: [], present: disks.present, gone: [] };
  const meansAnother = ({ name }: { name: string }): boolean =>
    diskFate(name, disks).kind === 'absent' && isTaken(name, newNames);
  if (used.some(meansAnother)) return null;
  if (links.some(({ from }) => isTaken(from, newNames) || !isPlain(from))) return null;
  const absentSwap = used.filter(
    ({ name, type }) => type === 'swap' && diskFate(name, disks).kind === 'absent' && isPlain(name),
  );
  const masked = init === 'systemd' ? absentSwap : [];
  return {
    edits: [],
    disks: renamed,
    links,
    commandLine: masked.map(({ name }) => `systemd.mask=${swapUnit(name)}`),
    changes: [
      ...renamed.map(({ from, to }) => `At boot the disk /dev/${to} can also be used as /dev/${from}.`),
      ...masked.map(({ name }) => `Swap on /dev/${name} is switched off, because the disk is not there.`),
    ],
    warnings: editFstab(text, disks).warnings,
  };
}

/** Whether the kernel has a disk of that name. */
function isTaken(name: string, present: DiskChanges): boolean {
  return diskFate(name, present).kind === 'same';
}

/** Names that can stand in a script, in a rule of udev and in the name of a unit. */
function isPlain(name: string): boolean {
  return /^[A-Za-z0-9]+(?:\/[A-Za-z0-9]+)?$/.test(name);
}

/** systemd's name of the unit for swap on a disk: systemd.swap(5), systemd-escape(1). */
function swapUnit(name: string): string {
  return `dev-${name.replaceAll('/', '-')}.swap`;
}
