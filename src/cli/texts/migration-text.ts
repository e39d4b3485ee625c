import type {
  ConversionAccount,
  MigrationPlan,
  MigrationReport,
  MovedDisk,
} from '../../operations/migrate/migration-report.ts';
import type { DeviceThere, DiskAccount } from '../../operations/migrate/migration-report.ts';
import { describeAccount } from '../../operations/migrate/probes/answer.ts';
import { formatBytes } from '../../figures.ts';
import { formatDuration, formatFields, formatRatio } from '../terminal/format.ts';
import { processText } from './process-text.ts';

type Field = readonly [name: string, value: string];

const readBackText: Record<MovedDisk['readBack'], string> = {
  direct: 'every chunk, read back there from the disk (O_DIRECT)',
  'page-cache-dropped': 'every chunk, read back there from the disk (page cache dropped)',
};

/** The summary after a move. */
export function migrationReportText(report: MigrationReport): string {
  const { guest, destination, booted, seconds } = report;
  const heading =
    booted === null
      ? `${guest} is on ${destination}. It was not booted, because it did not run here.`
      : `${guest} runs on ${destination}${processText(booted.pid)}.`;
  const times: Field[] = [
    ...downtimeFields(report),
    ['in all', formatDuration(seconds)],
    ...(booted === null ? [] : [['console log', `${destination}:${booted.consoleLog}`] as const]),
  ];
  return [
    heading,
    ...report.disks.map((disk) => movedDiskText(disk, destination)),
    formatFields(times),
    ...(report.probes.length === 0 ? [] : [report.probes.map(describeAccount).join('\n')]),
    whatNext(report),
  ].join('\n\n');
}

function downtimeFields({
  downtimeSeconds,
  downtimeParts,
  predictedDowntimeSeconds,
  passes,
}: MigrationReport): Field[] {
  if (downtimeSeconds === null || downtimeParts === null) return [];
  const { haltSeconds, copySeconds, verifySeconds, bootSeconds } = downtimeParts;
  const parts = [
    `halt ${formatDuration(haltSeconds)}`,
    `copy ${formatDuration(copySeconds)}`,
    `verify ${formatDuration(verifySeconds)}`,
    `boot ${formatDuration(bootSeconds)}`,
  ].join(', ');
  const copied = passes.length - 1;
  return [
    ['downtime', formatDuration(downtimeSeconds)],
    ['made of', parts],
    ...(predictedDowntimeSeconds === null
      ? []
      : [
          ['predicted', formatDuration(predictedDowntimeSeconds)] as const,
          ['before it', `${copied} ${copied === 1 ? 'copy' : 'copies'} while the guest ran`] as const,
        ]),
  ];
}

function movedDiskText(disk: MovedDisk, destination: string): string {
  return formatFields([
    ...accountFields(disk, destination, 'read'),
    ['sent', `${formatBytes(disk.sentBytes)} (ratio ${formatRatio(disk.readBytes, disk.sentBytes)})`],
    ...(disk.takenBytes === 0
      ? []
      : [['not sent', `${formatBytes(disk.takenBytes)} that another disk had there`] as const]),
    // Without the prefix the line fits into 80 columns.
    ['fingerprint', disk.fingerprint.replace(/^sha256:/, '')],
    ['verified', readBackText[disk.readBack]],
  ]);
}

function whatNext({ guest, destination, archive, disks, booted, committed }: MigrationReport): string {
  if (archive !== null) return `The archive is unchanged: ${archive}`;
  const sources = disks.map(({ source }) => source).join(', ');
  const untouched = `The old image is unchanged: ${sources}`;
  if (booted === null) return `${untouched}\nDelete it when you no longer need it.`;
  if (committed)
    return [
      `${guest} stays on ${destination}: all probes answered as before, so the move is committed.`,
      untouched,
      'Delete it when you no longer need it.',
    ].join('\n');
  return [
    untouched,
    `vmferry keeps ${guest} from being started here, so that it never runs twice.`,
    `To take the move back: vmferry revert ${guest}`,
  ].join('\n');
}

/** The result of `--dry-run`. */
export function migrationPlanText(plan: MigrationPlan): string {
  const {
    guest,
    destination,
    willHalt,
    willBoot,
    estimatedSendBytes,
    mostSendBytes,
    estimatedDowntimeSeconds,
  } = plan;
  const steps = [
    ...(plan.warm ? [`copy ${guest} to ${destination} while it runs`] : []),
    ...(willHalt ? [`halt ${guest} here`] : []),
    plan.warm ? `copy what has changed, and verify it` : `copy it to ${destination} and verify it`,
    ...(willBoot ? ['boot it there'] : []),
  ];
  const estimates: Field[] = [
    ...(estimatedSendBytes === null
      ? []
      : [['to send', sendText(estimatedSendBytes, mostSendBytes)] as const]),
    ...(estimatedDowntimeSeconds === null
      ? []
      : [['downtime', `about ${formatDuration(estimatedDowntimeSeconds)}`] as const]),
  ];
  return [
    `No problems found. The move would ${steps.join(', ')}.`,
    ...plan.disks.map((disk) =>
      formatFields([...accountFields(disk, destination, 'to read'), ...deviceFields(disk, plan.devices)]),
    ),
    ...(estimates.length === 0 ? [] : [formatFields(estimates)]),
    ...conversionTexts(plan),
    'Nothing was changed.',
  ].join('\n\n');
}

function conversionTexts({ changes, losses }: ConversionAccount): string[] {
  const list = (heading: string, sentences: readonly string[]) =>
    sentences.length === 0 ? [] : [[heading, ...sentences.map((sentence) => `  ${sentence}`)].join('\n')];
  return [...list('What changes:', changes), ...list('What is lost:', losses)];
}

function sendText(estimatedBytes: number, mostBytes: number | null): string {
  const about = `about ${formatBytes(estimatedBytes)}`;
  if (mostBytes === null || mostBytes <= estimatedBytes) return about;
  return `${about}, at most about ${formatBytes(mostBytes)} (free blocks are known exactly only after the halt)`;
}

function deviceFields({ target, sizeBytes }: DiskAccount, devices: readonly DeviceThere[]): Field[] {
  const device = devices.find(({ path }) => path === target);
  if (device === undefined) return [];
  const restBytes = device.sizeBytes - sizeBytes;
  const rest = restBytes > 0 ? `; its last ${formatBytes(restBytes)} stay as they are` : '';
  const content =
    device.holds.length === 0 ? 'a device on which nothing was recognised' : device.holds.join(', ');
  return [['overwrites', `${content} (${formatBytes(device.sizeBytes)}${rest})`]];
}

function accountFields(disk: DiskAccount, destination: string, read: string): Field[] {
  return [
    ['from', disk.source],
    ['to', `${destination}:${disk.target}`],
    ['size', formatBytes(disk.sizeBytes)],
    [read, formatBytes(disk.readBytes)],
    [
      'skipped',
      `${formatBytes(disk.holeBytes)} holes, ${formatBytes(disk.freeBytes)} free in its file system`,
    ],
  ];
}
