import { closeSync } from 'node:fs';
import { Failure } from '../../failure.ts';
import { readContainer } from '../formats/containers/read-container.ts';
import type { FormattedImage } from '../formats/image-format.ts';
import { headerFile } from '../formats/view/backing-chain.ts';
import { openImageFile } from '../source/image-file.ts';
import { ImageTarget } from '../target/image-target.ts';
import type { ExtPlace } from './debugfs.ts';

/** A file system in an image of any format that is written. */
export interface EditPlace extends FormattedImage {
  /** Where the file system begins on the disk, in bytes. */
  offset: number;
}

/**
 * Works on the disk in an image, as a file that has its layout: a raw image itself, or a view of a qcow2 image, which is then
 * complete and on the disk when this returns. Throws Failure `image-in-use`, `write-failed`, and those of `ImageTarget.open`.
 */
export async function onWritableDisk<Result>(
  { path, offset, format = 'raw' }: EditPlace,
  work: (place: ExtPlace) => Promise<Result>,
): Promise<Result> {
  if (format === 'raw') return work({ path, offset });
  if (format !== 'qcow2')
    throw new Failure('write-failed', `The files in ${path} cannot be changed: it is a ${format} image.`);
  await using target = await openQcow2(path);
  // For another process, which has a descriptor of its own then.
  const result = await work({ path: `/proc/${process.pid}/fd/${target.fd}`, offset, image: path });
  await target.publish();
  return result;
}

async function openQcow2(path: string): Promise<ImageTarget> {
  const sizeBytes = sizeOfQcow2(path);
  const place = { kind: 'file', path, sizeBytes, allocatedBytes: 0, identity: null } as const;
  return ImageTarget.open(place, sizeBytes, null, 'qcow2');
}

function sizeOfQcow2(path: string): number {
  const file = openImageFile(path);
  try {
    return readContainer(headerFile(file), 'qcow2').sizeBytes;
  } finally {
    closeSync(file.fd);
  }
}
