import { formatBytes } from '../../figures.ts';
import type { RehearsalReport } from '../../operations/rehearse/rehearsal-report.ts';
import { formatDuration, formatFields } from '../terminal/format.ts';

/** The summary after a rehearsal. */
export function rehearsalText(report: RehearsalReport): string {
  const { guest, destination, bootSeconds, predictedDowntimeSeconds, disks, giveUp, seconds } = report;
  const sentBytes = disks.reduce((sum, disk) => sum + disk.sentBytes, 0);
  return [
    `${guest} boots on ${destination} in ${formatDuration(bootSeconds)}; downtime will be about ${formatDuration(Math.ceil(predictedDowntimeSeconds))}.`,
    formatFields([
      ...disks.map(({ partial }) => ['kept there', partial] as const),
      ['sent', formatBytes(sentBytes)],
      ['in all', formatDuration(seconds)],
    ]),
    [
      `${guest} runs on here. The copy that was booted there is removed.`,
      `vmferry migrate ${guest} with the same --to sends only what changes from now on.`,
      `To give that up: ${giveUp}`,
    ].join('\n'),
  ].join('\n\n');
}
