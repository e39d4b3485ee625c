import { formatBytes } from '../../figures.ts';
import type { ExportedDisk, ExportReport } from '../../operations/exchange/export-report.ts';
import type { ImportReport } from '../../operations/exchange/import-report.ts';
import type { UnpackedDisk } from '../../operations/unpack/unpacked.ts';
import { processText } from './process-text.ts';
import { formatDuration, formatFields } from '../terminal/format.ts';

const consistencyText: Record<ExportReport['consistency'], string> = {
  halted: 'it was halted',
  frozen: 'it was synced and paused',
  'after-a-crash': 'as after a power failure: it may have to replay a journal',
};

/** The summary after an export. */
export function exportReportText(report: ExportReport): string {
  const { guest, output, consistency, disks, sizeBytes, seconds } = report;
  const fields = formatFields([
    ['state', consistencyText[consistency]],
    ['written', formatBytes(sizeBytes)],
    ['in all', formatDuration(seconds)],
  ]);
  const place = output ?? 'standard output';
  return [`${guest} is exported to ${place}`, ...disks.map(exportedText), fields].join('\n\n');
}

function exportedText({ name, sizeBytes, holeBytes, freeBytes, readBytes, sha256 }: ExportedDisk): string {
  return formatFields([
    ['disk', name],
    ['size', formatBytes(sizeBytes)],
    ['read', formatBytes(readBytes)],
    ['left out', `${formatBytes(holeBytes)} of holes, ${formatBytes(freeBytes)} free in its file system`],
    ['sha256', sha256],
  ]);
}

const checkedText = { fingerprints: 'fingerprints', sha256sums: 'checksums', 'ovf-manifest': 'checksums' };

/** The summary after an import. */
export function importReportText({ guest, content, checked, disks, started, seconds }: ImportReport): string {
  const place = disks.map(({ target }) => target).join(', ');
  const compared =
    checked === null ? `the ${content} has no checksums` : `the ${checkedText[checked]} of the archive`;
  const fields = formatFields([
    ['compared with', compared],
    ['in all', formatDuration(seconds)],
    ...(started === null ? [] : [['console log', started.consoleLog] as const]),
  ]);
  const runs = started === null ? '' : `, and runs${processText(started.pid)}`;
  return [`${guest ?? 'The image'} is imported to ${place}${runs}`, ...disks.map(importedText), fields].join(
    '\n\n',
  );
}

function importedText({
  name,
  target,
  sizeBytes,
  writtenBytes,
  sha256,
  fingerprint,
  readBack,
}: UnpackedDisk): string {
  const how = readBack === 'direct' ? 'O_DIRECT' : 'page cache dropped';
  return formatFields([
    ['disk', name],
    ['to', target],
    ['size', formatBytes(sizeBytes)],
    ['written', formatBytes(writtenBytes)],
    sha256 === null ? ['fingerprint', fingerprint ?? ''] : ['sha256', sha256],
    ['verified', `everything, read back from the disk (${how})`],
  ]);
}
