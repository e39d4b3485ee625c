import { statfsSync } from 'node:fs';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { mappedExtents } from '../../system/extent-map.ts';
import { SystemCallError } from '../../system/native.ts';
import type { PlacedExtent } from './changed-extents.ts';
import type { ImageSource } from '../source/image-source.ts';

/** linux/magic.h: XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC. */
const comparable = new Set([0x58465342, 0x9123683e]);

/**
 * Whether two files there which have the same place on the disk have the same bytes. Other file systems may tell places of
 * several disks, or a file's own offsets (as on SMB shares).
 */
export function hasComparablePlaces(path: string): boolean {
  try {
    return comparable.has(statfsSync(path).type);
  } catch (error) {
    if (errorCode(error) === '') throw error;
    return false;
  }
}

/** Where the image's bytes lie, as far as that can be compared. Throws Failure `read-failed`. */
export function* placedExtents({ path, fd, sizeBytes }: ImageSource): Generator<PlacedExtent> {
  try {
    for (const { offset, length, place } of mappedExtents(fd, sizeBytes))
      if (place !== null) yield { offset, length, place };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    throw new Failure('read-failed', `Where ${path} lies on its disk cannot be asked: ${error.message}.`, {
      cause: error,
    });
  }
}
