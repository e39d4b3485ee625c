import { basename } from 'node:path';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import type { ContainerFormat } from '../image/formats/image-format.ts';
import { summarizeContainer } from '../image/formats/view/container-summary.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import type { SourceDisk } from './source-disk.ts';

/**
 * Tells what of an image does not come along, or comes along in another form. Says nothing of a raw image.
 * @param toldSnapshots names of snapshots that were told of before
 */
export function tellOfContainer(
  {
    name,
    source: { container, sizeBytes },
  }: { name: string; source: Pick<ImageSource, 'container' | 'sizeBytes'> },
  { report }: Pick<Context, 'report'>,
  toldSnapshots: readonly string[] = [],
): void {
  if (container === null) return;
  const { snapshots, snapshotCount, backingFiles, statedBytes } = container;
  const told = new Set(toldSnapshots);
  const others = snapshots.filter((name) => !told.has(name));
  // Their names were not read.
  const unnamed = snapshotCount - snapshots.length;
  if (others.length > 0 || unnamed > 0) {
    const more = unnamed > 0 ? [`${others.length > 0 ? 'and ' : ''}${unnamed} more`] : [];
    const names = [...others, ...more].join(', ');
    const message = `${name} has internal snapshots, which stay behind: ${names}. The disk is read as it is now.`;
    report({ type: 'warning', code: 'other', message });
  }
  if (backingFiles.length > 0) {
    const paths = backingFiles.map(({ path }) => path).join(', ');
    report({
      type: 'notice',
      message: `${name} is read with its backing files, and is one disk after that: ${paths}`,
    });
  }
  if (statedBytes !== sizeBytes) {
    const message = `The disk of ${name} has ${sizeBytes} bytes: its image states ${statedBytes}, and QEMU rounds that up.`;
    report({ type: 'notice', message });
  }
}

/** The same of a guest's disk, which may be read from another file than its image: then by the image's header. */
export function tellOfGuestImage(
  { image, imageFormat, backing }: { image: string; imageFormat?: ContainerFormat; backing?: string },
  disk: Pick<SourceDisk, 'name' | 'source'>,
  context: Pick<Context, 'report'>,
  toldSnapshots: readonly string[] = [],
): void {
  if (imageFormat === undefined) {
    tellOfContainer(disk, context, toldSnapshots);
    return;
  }
  try {
    const { container } = summarizeContainer(image, imageFormat, backing);
    const { sizeBytes } = disk.source;
    tellOfContainer({ name: basename(image), source: { container, sizeBytes } }, context, toldSnapshots);
  } catch (error) {
    // The guest may be changing it. What is read does not depend on it.
    if (!(error instanceof Failure)) throw error;
  }
}
