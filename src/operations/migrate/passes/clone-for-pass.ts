import { statfsSync, statSync } from 'node:fs';
import { Failure } from '../../../failure.ts';
import { cloneImage, type FileBeside } from '../../../image/clones/clone.ts';
import { hasComparablePlaces } from '../../../image/clones/placed-extents.ts';

/** The unit of `st_blocks` (stat(2)). */
const STAT_BLOCK_BYTES = 512;
/** As long as there is a clone, all that the guest writes takes room: this share of what the image takes has to be free. */
const FREE_SHARE = 0.1;

/** A clone whose blocks can be compared with those of the image; null if none can be made. Then the image itself is read. */
export function cloneForPass(image: string): FileBeside | null {
  if (!hasComparablePlaces(image)) return null;
  const { bavail, bsize } = statfsSync(image);
  if (bavail * bsize < FREE_SHARE * STAT_BLOCK_BYTES * statSync(image).blocks) return null;
  try {
    return cloneImage(image);
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}
