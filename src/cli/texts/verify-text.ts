import type {
  DamagedDisk,
  DamagedSnapshot,
  GuestVerdict,
  VerifyReport,
} from '../../operations/verify/verify-report.ts';
import { formatBytes } from '../../figures.ts';
import { formatCount, formatDuration } from '../terminal/format.ts';

/** Most ranges of a disk, and most damaged files, that the text shows. The rest is counted; --json lists more. */
const MOST_SHOWN = 20;

/** The findings of a verify, for people. */
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
    `${guest}: ${formatCount(snapshots, 'snapshot')}, ${isSound ? 'no damage found' : 'DAMAGED'}; ${readText}`,
    ...(takenBack === 0
      ? []
      : [`  moved back from the trash, because snapshots need them: ${formatCount(takenBack, 'file')}`]),
    ...(unreferenced.count === 0
      ? []
      : [
          `  not needed by any snapshot (harmless): ${formatCount(unreferenced.count, 'file')}, ${formatBytes(unreferenced.bytes)}`,
        ]),
    ...shortened(problems.map(({ message }) => `  damage: ${message}`)),
    ...damaged.flatMap(snapshotLines),
  ];
  return lines.join('\n');
}

function snapshotLines({ snapshot, disks }: DamagedSnapshot): string[] {
  if (disks.length === 0) return [`  ${snapshot}: cannot be restored: its manifest cannot be read`];
  return [`  ${snapshot}: cannot be restored completely`, ...disks.flatMap(diskLines)];
}

function diskLines({ name, damagedBytes, ranges, moreRanges }: DamagedDisk): string[] {
  const lines = ranges.map(({ offset, length }) => `      bytes ${offset} to ${offset + length - 1}`);
  return [`    ${name}: ${formatBytes(damagedBytes)} lost`, ...shortened(lines, moreRanges)];
}

/** @param unlisted number of further items that --json does not list either */
function shortened(lines: readonly string[], unlisted = 0): string[] {
  if (lines.length <= MOST_SHOWN) return [...lines];
  const indent = /^ */.exec(lines[0] ?? '')?.[0] ?? '';
  const listed = unlisted === 0 ? 'all' : `the first ${lines.length}`;
  const more = `${indent}… and ${lines.length + unlisted - MOST_SHOWN} more (--json lists ${listed})`;
  return [...lines.slice(0, MOST_SHOWN), more];
}
