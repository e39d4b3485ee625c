import type { Argv } from 'yargs';
import type { GuestDependencies } from '../../operations/guests/guests.ts';
import type { ImageReport } from '../../operations/guests/inspect.ts';
import type { Command } from '../options/command.ts';
import { formatBytes } from '../../figures.ts';
import { formatFields, formatTable } from '../terminal/format.ts';
import {
  backingDirectoryOption,
  repeatableBackingDirectory,
  withBackingOption,
} from '../options/images/backing-directory-option.ts';
import { imageFormat, imageFormatOption } from '../options/images/image-format-options.ts';
import { text } from '../options/options.ts';

export const inspectCommand: Command<Pick<GuestDependencies, 'drivers'>> = {
  usage: 'inspect <image>',
  summary: 'Show what a disk image contains, who uses it, and how much a move would send',
  repeatable: repeatableBackingDirectory,
  define: (parser: Argv) =>
    parser
      .positional('image', { type: 'string', describe: 'An image file, a partition or a logical volume' })
      .options({ 'image-format': imageFormatOption, ...backingDirectoryOption })
      .example('$0 inspect /srv/guests/web.img', 'its file systems, and how much of each is in use')
      .example('$0 inspect /dev/vg0/web --json', 'the same as JSON, sizes in bytes'),
  read: (args) => {
    const path = text(args, 'image');
    const format = imageFormat(args);
    return withBackingOption(args, async ({ dependencies, context }) => {
      const { describeUsers, inspectImage } = await import('../../operations/guests/inspect.ts');
      const report = await inspectImage(path, context, dependencies.drivers, format ?? undefined);
      return {
        record: { type: 'image', ...report },
        text: imageReportText(report, describeUsers(report.users)),
      };
    });
  },
};

type Content = Omit<ImageReport['regions'][number], 'offset' | 'volumeGroup'>;

/** The size comes first. A raw image has nothing else. */
function containerFields({ sizeBytes, format, container }: ImageReport): [string, string][] {
  if (container === null) return [['size', formatBytes(sizeBytes)]];
  const { backingFiles, snapshots, snapshotCount, statedBytes } = container;
  const rounded = statedBytes === sizeBytes ? '' : ` (${sizeBytes} bytes; the image states ${statedBytes})`;
  const more = snapshotCount > snapshots.length ? ', …' : '';
  return [
    ['size', `${formatBytes(sizeBytes)}${rounded}`],
    ['format', format],
    ...backingFiles.map((file, index): [string, string] => [
      index === 0 ? 'backing files' : '',
      `${file.path} (${file.format})`,
    ]),
    ...(snapshotCount === 0
      ? []
      : [
          ['snapshots', `${snapshotCount}, which are not read or moved: ${snapshots.join(', ')}${more}`] as [
            string,
            string,
          ],
        ]),
  ];
}

function contentRow(place: string, content: Content): string[] {
  const { length, kind, label = '', clean, usedBytes } = content;
  return [
    place,
    formatBytes(length),
    kind,
    label,
    clean === null ? '' : clean ? 'clean' : 'not clean',
    usedBytes === null ? '' : formatBytes(usedBytes),
  ];
}

function reasonText(content: string, { reason }: Pick<Content, 'reason'>): string[] {
  return reason === undefined ? [] : [`${content}: all its blocks are moved: ${reason}`];
}

/** @param usage how the image is used, as the end of a sentence; empty if nobody uses it */
export function imageReportText(report: ImageReport, usage: string): string {
  const { regions } = report;
  const fields = formatFields([
    ...containerFields(report),
    ['allocated', formatBytes(report.allocatedBytes)],
    ['holes', formatBytes(report.holeBytes)],
    ['free', `${formatBytes(report.freeBytes)} (allocated, but free in its file system)`],
    ['to move', `${formatBytes(report.sendBytes)} before compression`],
    ['used by', usage === '' ? 'nobody' : `it ${usage}`],
  ]);
  const rows = regions.flatMap((region) => [
    contentRow(formatBytes(region.offset), region),
    ...(region.volumeGroup?.volumes ?? []).map((volume) =>
      contentRow(`${region.volumeGroup?.name}/${volume.name}`, volume),
    ),
  ]);
  const table = formatTable(
    ['offset', 'size', 'holds', 'label', 'state', 'in use'],
    rows,
    new Set([0, 1, 5]),
  );
  const reasons = regions.flatMap((region) => [
    ...reasonText(`${region.kind} at ${formatBytes(region.offset)}`, region),
    ...(region.volumeGroup?.volumes ?? []).flatMap((volume) =>
      reasonText(`${volume.kind} in ${volume.name}`, volume),
    ),
  ]);
  return [report.path, fields, ...(rows.length === 0 ? [] : [table]), ...reasons].join('\n\n');
}
