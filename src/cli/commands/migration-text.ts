import type {
  DiskAccount,
  MigrationPlan,
  MigrationReport,
  MovedDisk,
} from '../../operations/migration-report.ts';
import { formatBytes, formatDuration, formatFields, formatRatio } from '../format.ts';

type Field = readonly [name: string, value: string];

const readBackText: Record<MovedDisk['readBack'], string> = {
  direct: 'read back there from the disk (O_DIRECT): every chunk is what was read here',
  'page-cache-dropped': 'read back there, the page cache dropped before: every chunk is what was read here',
};

/** The summary after a move. */
export function migrationReportText(report: MigrationReport): string {
  const { guest, destination, booted, downtimeSeconds, seconds } = report;
  const heading =
    booted === null
      ? `${guest} is on ${destination}. It was not booted: nothing ran it here.`
      : `${guest} runs on ${destination} (pid ${booted.pid}).`;
  const times: Field[] = [
    ...(downtimeSeconds === null ? [] : [['downtime', formatDuration(downtimeSeconds)] as const]),
    ['in all', formatDuration(seconds)],
    ...(booted === null ? [] : [['console log', `${destination}:${booted.consoleLog}`] as const]),
  ];
  return [heading, ...report.disks.map(movedDiskText), formatFields(times), whatNext(report)].join('\n\n');
}

function movedDiskText(disk: MovedDisk): string {
  return `${disk.source} -> ${disk.target}\n${formatFields([
    ...accountFields(disk, 'read'),
    ['sent', `${formatBytes(disk.sentBytes)} (ratio ${formatRatio(disk.readBytes, disk.sentBytes)})`],
    ['fingerprint', disk.fingerprint],
    ['verified', readBackText[disk.readBack]],
  ])}`;
}

function whatNext({ guest, destination, disks, booted }: MigrationReport): string {
  const sources = disks.map(({ source }) => source).join(', ');
  const untouched = `Nothing was written to the source: ${sources} lies here as it was.`;
  if (booted === null) return `${untouched} Delete it when you no longer need it.`;
  return (
    `${untouched}\n${guest} is kept from being started here, so that it never runs twice.\n` +
    `To go back to it: vmferry revert ${guest} (halts it on ${destination}, starts it here as it was).`
  );
}

/** What `--dry-run` answers. */
export function migrationPlanText(plan: MigrationPlan): string {
  const { guest, destination, willHalt, willBoot, estimatedSendBytes, estimatedDowntimeSeconds } = plan;
  const steps = [
    ...(willHalt ? [`halt ${guest} here`] : []),
    `copy it to ${destination} and verify it`,
    ...(willBoot ? ['boot it there'] : []),
  ];
  const estimates: Field[] = [
    ...(estimatedSendBytes === null
      ? []
      : [['to send', `about ${formatBytes(estimatedSendBytes)}`] as const]),
    ...(estimatedDowntimeSeconds === null
      ? []
      : [['downtime', `about ${formatDuration(estimatedDowntimeSeconds)}`] as const]),
  ];
  return [
    `Nothing is in the way. This would ${steps.join(', ')}.`,
    ...plan.disks.map(
      (disk) => `${disk.source} -> ${disk.target}\n${formatFields(accountFields(disk, 'to read'))}`,
    ),
    ...(estimates.length === 0 ? [] : [formatFields(estimates)]),
    'Nothing was changed.',
  ].join('\n\n');
}

function accountFields(disk: DiskAccount, read: string): Field[] {
  return [
    ['size', formatBytes(disk.sizeBytes)],
    [read, formatBytes(disk.readBytes)],
    [
      'skipped',
      `${formatBytes(disk.holeBytes)} holes, ${formatBytes(disk.freeBytes)} free in its file system`,
    ],
  ];
}
