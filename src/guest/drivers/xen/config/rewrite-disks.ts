import type { DiskDefinition, GuestDefinition, RemovableDrive } from '../../../definition.ts';
import { formatDiskSpec } from './disk-spec.ts';
import type { TextEdits } from './edits.ts';
import { pathOf, type ReadDisk } from './read-disks.ts';
import { quoteForXl } from './scan.ts';
import { diskText, driveText, formatOf, listText } from './write.ts';

/** Changes the disks and drives that differ, each at its place. If one comes or goes, the list is written anew from the items. */
export function rewriteDisks(
  edits: TextEdits,
  read: readonly ReadDisk[],
  from: GuestDefinition,
  to: GuestDefinition,
): void {
  const wanted = [...to.disks, ...(to.drives ?? [])];
  const itemOf = (device: string): ReadDisk | undefined => read.find(({ spec }) => spec.vdev === device);
  const before = [...from.disks, ...(from.drives ?? [])].map(({ device }) => device);
  const isSameSet =
    wanted.length === before.length && wanted.every(({ device }, index) => device === before[index]);
  if (!isSameSet) {
    edits.set('disk', listText(wanted.map((disk) => changedText(itemOf(disk.device), disk))));
    return;
  }
  for (const disk of wanted) {
    const present = itemOf(disk.device);
    if (present === undefined) continue;
    const text = changedText(present, disk);
    if (text !== present.item.text) edits.replace(present.item, quoteForXl(text));
  }
}

function changedText(present: ReadDisk | undefined, disk: DiskDefinition | RemovableDrive): string {
  const isDrive = 'kind' in disk;
  if (present === undefined || present.spec.isCdrom !== isDrive)
    return isDrive ? driveText(disk) : diskText(disk);
  const { spec, item } = present;
  const path = disk.path ?? '';
  const format = isDrive ? (path === '' ? 'empty' : 'raw') : formatOf(disk);
  const isReadOnly = isDrive || disk.readOnly;
  const isSame = (isDrive || format === spec.format) && isReadOnly === spec.isReadOnly;
  if (isSame && path === pathOf(spec)) return item.text;
  if (isSame && spec.targetAt !== null && canStand(path, present))
    return item.text.slice(0, spec.targetAt.from) + path + item.text.slice(spec.targetAt.to);
  return formatDiskSpec({ ...spec, target: path, format, isReadOnly });
}

/** Whether the path can take the place of the old one. `phy:` and `file:` say what the target is, and must stay true. */
function canStand(path: string, { spec }: ReadDisk): boolean {
  const isDevice = (one: string | null): boolean => one?.startsWith('/dev/') ?? false;
  if (spec.prefixes.length > 0 && isDevice(path) !== isDevice(pathOf(spec))) return false;
  return path !== '' && (spec.isTargetRest || !/[,=:]|^\s|\s$/.test(path));
}
