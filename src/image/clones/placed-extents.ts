import { statfsSync } from 'node:fs';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { mappedExtents } from '../../system/extent-map.ts';
import { SystemCallError } from '../../system/native.ts';
import type { PlacedExtent } from './changed-extents.ts';
import type { FormattedImage, ImageFormat } from '../formats/image-format.ts';
import type { ImageSource } from '../source/image-source.ts';
import { placedClusters } from './placed-clusters.ts';

/** linux/magic.h: XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC. */
const comparable = new Set([0x58465342, 0x9123683e]);

/**
 * Whether, on this file system, two files at the same place have the same bytes. Other file systems may give places on
 * several disks, or offsets in the file itself (SMB).
 */
export function hasComparablePlaces(path: string): boolean {
  try {
    return comparable.has(statfsSync(path).type);
  } catch (error) {
    if (errorCode(error) === '') throw error;
    return false;
  }
}

/** Formats in which two images can be compared by places. */
const comparableFormats: ReadonlySet<ImageFormat> = new Set(['raw', 'qcow2']);

/** `hasComparablePlaces` of the image's file system, and whether its format tells where the disk's bytes are in the file. */
export function hasComparableContent({
  path,
  format = 'raw',
}: Pick<FormattedImage, 'path' | 'format'>): boolean {
  return comparableFormats.has(format) && hasComparablePlaces(path);
}

/**
 * Where the bytes of the image's disk lie, as far as they can be compared: of a raw image, or of a qcow2 image without its backing files;
 * of other formats nothing is known. Throws Failure `read-failed`.
 */
export function* placedExtents({ path, fd, sizeBytes, format }: ImageSource): Generator<PlacedExtent> {
  try {
    if (format === 'qcow2') yield* placedClusters(path);
    if (format !== 'raw') return;
    for (const { offset, length, place } of mappedExtents(fd, sizeBytes))
      if (place !== null) yield { offset, length, place };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    throw new Failure('read-failed', `The place of ${path} on its disk cannot be read: ${error.message}.`, {
      cause: error,
    });
  }
}
