import type { Context } from '../../events.ts';
import type { ImageRegion } from '../../image/probe.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { type ImageUser, findUsers } from '../../image/usage/usage.ts';
import type { GuestUser } from '../../image/usage/describe-users.ts';
import { nameGuests } from '../../guest/name-guests.ts';
import { openSourceDisk } from '../../transfer/source-disk.ts';

export { describeUsers } from '../../image/usage/describe-users.ts';

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
  users: readonly (ImageUser | GuestUser)[];
}

/**
 * Looks at an image and at who uses it; changes nothing. An image that is being written to may be reported wrongly.
 * Throws Failure `image-missing`, `image-unreadable`, `image-not-a-disk` or `read-failed`.
 * @param drivers whose guests are named as users of the image, in place of their processes
 */
export async function inspectImage(
  path: string,
  context: Context,
  drivers: readonly GuestDriver[] = [],
): Promise<ImageReport> {
  await using disk = await openSourceDisk(path, { everyBlock: false });
  const { source, layout, readBytes, holeBytes, freeBytes } = disk;
  const users = await nameGuests(await findUsers(source.path), drivers, context);
  context.signal.throwIfAborted();
  return {
    path: source.path,
    sizeBytes: source.sizeBytes,
    allocatedBytes: source.allocatedBytes,
    holeBytes,
    freeBytes,
    sendBytes: readBytes,
    regions: layout.regions,
    users,
  };
}
