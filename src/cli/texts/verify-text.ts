import type {
  DamagedDisk,
  DamagedSnapshot,
  GuestVerdict,
  VerifyReport,
} from '../../operations/verify/verify-report.ts';
import { formatBytes } from '../../figures.ts';
import { formatCount, formatDuration } from '../terminal/format.ts';

/** More ranges of a disk, and more damaged files, than that are only counted; --json lists more of them. */
const MOST_SHOWN = 20;

/** What a verify has found, for people. */
export function verifyText({ store, guests, boot, seconds }: VerifyReport): string {
  const booted =
    boot === null
      ? []
      : [`${boot.guest}@${boot.snapshot} was restored and booted: up in ${formatDuration(boot.bootSeconds)}`];
  const nothing = guests.length === 0 ? [`There is no snapshot in ${store} yet.`] : [];
  return [...nothing, ...guests.map(guestText), ...booted, `It took ${formatDuration(seconds)}.`].join(
    '\n\n',
  );
}

function guestText(verdict: GuestVerdict): string {
  const { guest, snapshots, packs, read, problems, damaged, unreferenced, takenBack } = verdict;
  const isSound = problems.length === 0 && damaged.length === 0;
  const readText =
    read.count === 0
      ? 'no pack was read'
      : `${read.count} of ${formatCount(packs.count, 'pack')} read, ${formatBytes(read.bytes)}`;
  const lines = [
    `${guest}: ${formatCount(snapshots, 'snapshot')}, ${isSound ? 'all whole' : 'not all whole'}; ${readText}`,
    ...(takenBack === 0
      ? []
      : [`  only in the trash of a prune, and moved back: ${formatCount(takenBack, 'file')}`]),
    ...(unreferenced.count === 0
      ? []
      : [
          `  of no snapshot, which is no harm: ${formatCount(unreferenced.count, 'file')}, ${formatBytes(unreferenced.bytes)}`,
        ]),
    ...shortened(problems.map(({ message }) => `  damage: ${message}`)),
    ...damaged.flatMap(snapshotLines),
  ];
  return lines.join('\n');
}

function snapshotLines({ snapshot, disks }: DamagedSnapshot): string[] {
  if (disks.length === 0) return [`  ${snapshot}: cannot be restored, as its manifest cannot be read`];
  return [`  ${snapshot}: not all of it can be restored`, ...disks.flatMap(diskLines)];
}

function diskLines({ name, damagedBytes, ranges, moreRanges }: DamagedDisk): string[] {
  const lines = ranges.map(({ offset, length }) => `      bytes ${offset} to ${offset + length - 1}`);
  return [`    ${name}: ${formatBytes(damagedBytes)} are lost`, ...shortened(lines, moreRanges)];
}

/** @param unlisted how many there are besides, which --json does not list */
function shortened(lines: readonly string[], unlisted = 0): string[] {
  if (lines.length <= MOST_SHOWN) return [...lines];
  const indent = /^ */.exec(lines[0] ?? '')?.[0] ?? '';
  const listed = unlisted === 0 ? 'all' : `the first ${lines.length}`;
  const more = `${indent}… and ${lines.length + unlisted - MOST_SHOWN} more (--json lists ${listed})`;
  return [...lines.slice(0, MOST_SHOWN), more];
}
