import { formatBytes } from '../../figures.ts';
import type { PlainMovedDisk, PlainMoveReport } from '../../operations/plain-move/plain-move-report.ts';
import { formatDuration, formatFields } from '../terminal/format.ts';

/** The summary after a move to a machine without vmferry. */
export function plainMoveText(report: PlainMoveReport): string {
  const { guest, destination, disks, startText, seconds } = report;
  const parts = [
    `${guest} is on ${destination}.`,
    ...disks.map((disk) => diskText(disk, destination)),
    formatFields([['in all', formatDuration(seconds)]]),
  ];
  if (startText === null) return parts.join('\n\n');
  const back = `To have it back here as it was, end it there, and then: vmferry revert ${guest} --new-host-is-gone`;
  return [
    ...parts,
    `It is down here, and vmferry does not start it here any more. Start it on ${destination}:`,
    startText.trimEnd(),
    back,
  ].join('\n\n');
}

function diskText(
  { source, target, sizeBytes, readBytes, sentBytes, sha256 }: PlainMovedDisk,
  host: string,
): string {
  return formatFields([
    ['disk', source],
    ['to', `${host}:${target}`],
    ['size', formatBytes(sizeBytes)],
    ['read', formatBytes(readBytes)],
    ['sent', formatBytes(sentBytes)],
    ['sha256', sha256],
    ['verified', 'by sha256sum there'],
  ]);
}
