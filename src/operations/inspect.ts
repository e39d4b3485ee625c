import type { Context } from '../events.ts';
import { totalLength } from '../image/extents.ts';
import { openImage } from '../image/open-image.ts';
import { type ImageRegion, probeImage } from '../image/probe.ts';
import { type ImageUser, findUsers } from '../image/usage.ts';
import { usedExtents } from '../image/used-extents.ts';

/** What `vmferry inspect` tells. holeBytes + freeBytes + sendBytes = sizeBytes. */
export interface ImageReport {
  /** Absolute, links resolved. */
  path: string;
  sizeBytes: number;
  /** What the image takes up on its disk. */
  allocatedBytes: number;
  /** Holes of the file: read as zero, and are not there on the disk. */
  holeBytes: number;
  /** In no hole, but free in a file system that can be trusted. */
  freeBytes: number;
  /** What a move would read and, compressed, send. */
  sendBytes: number;
  regions: readonly ImageRegion[];
  users: readonly ImageUser[];
}

/**
 * Looks at an image and at who uses it; changes nothing. An image that is being written to may be reported wrongly.
 * Throws Failure `image-missing`, `image-unreadable`, `image-not-a-disk` or `read-failed`.
 */
export async function inspectImage(path: string, context: Context): Promise<ImageReport> {
  using source = openImage(path);
  const users = await findUsers(source.path);
  context.signal.throwIfAborted();
  const layout = probeImage(source);
  context.signal.throwIfAborted();
  const dataBytes = totalLength(source.dataExtents());
  const sendBytes = totalLength(usedExtents(source, layout, { everyBlock: false }));
  return {
    path: source.path,
    sizeBytes: source.sizeBytes,
    allocatedBytes: source.allocatedBytes,
    holeBytes: source.sizeBytes - dataBytes,
    freeBytes: dataBytes - sendBytes,
    sendBytes,
    regions: layout.regions,
    users,
  };
}
