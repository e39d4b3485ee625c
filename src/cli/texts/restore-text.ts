import type { RestoredDisk, RestoreReport } from '../../operations/restore/restore-report.ts';
import { formatBytes } from '../../figures.ts';
import { formatDuration, formatFields } from '../terminal/format.ts';
import { processText } from './process-text.ts';

const readBackText: Record<RestoredDisk['readBack'], string> = {
  direct: 'every chunk, read back from the disk (O_DIRECT)',
  'page-cache-dropped': 'every chunk, read back from the disk (page cache dropped)',
};

const consistencyText: Record<RestoreReport['consistency'], string> = {
  halted: 'the guest was halted',
  frozen: 'the guest was synced and paused',
  'after-a-crash': 'as after a power failure: the guest may have to replay a journal',
};

/** The summary after a restore. */
export function restoreReportText({
  guest,
  snapshot,
  consistency,
  disks,
  started,
  seconds,
}: RestoreReport): string {
  const place = disks.map(({ target }) => target).join(', ');
  const heading =
    started === null
      ? `${guest} is restored to ${place}`
      : `${guest} is restored and runs${processText(started.pid)}.`;
  const fields = formatFields([
    ['snapshot', snapshot],
    ['state', consistencyText[consistency]],
    ['in all', formatDuration(seconds)],
    ...(started === null ? [] : [['console log', started.consoleLog] as const]),
  ]);
  return [heading, ...disks.map(diskText), fields].join('\n\n');
}

function diskText(disk: RestoredDisk): string {
  const missingBytes = disk.missing.reduce((sum, { length }) => sum + length, 0);
  return formatFields([
    ['disk', disk.name],
    ['to', disk.target],
    ['size', formatBytes(disk.sizeBytes)],
    ['received', formatBytes(disk.readFromStoreBytes)],
    ['written', formatBytes(disk.writtenBytes)],
    ['unchanged', formatBytes(disk.unchangedBytes)],
    ...(missingBytes === 0
      ? []
      : [['MISSING', `${formatBytes(missingBytes)}, lost from the store: written as zeros`] as const]),
    // Without the prefix the line fits into 80 columns.
    ['fingerprint', disk.fingerprint.replace(/^sha256:/, '')],
    ['verified', readBackText[disk.readBack]],
  ]);
}
