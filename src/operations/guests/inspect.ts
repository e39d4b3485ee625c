import type { Context } from '../../events.ts';
import { formatOfName, type ImageFormat } from '../../image/formats/image-format.ts';
import type { ContainerDescription } from '../../image/source/image-source.ts';
import type { ImageRegion } from '../../image/probe.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { type ImageUser, findUsers } from '../../image/usage/usage.ts';
import type { GuestUser } from '../../image/usage/describe-users.ts';
import { nameGuests } from '../../guest/disks/name-guests.ts';
import { openSourceDisk } from '../../transfer/source-disk.ts';

export { describeUsers } from '../../image/usage/describe-users.ts';

/** What `vmferry inspect` shows. holeBytes + freeBytes + sendBytes = sizeBytes. */
export interface ImageReport {
  /** Absolute, links resolved. */
  path: string;
  format: ImageFormat;
  /** Null for a raw image. */
  container: ContainerDescription | null;
  sizeBytes: number;
  /** Bytes allocated to the image. */
  allocatedBytes: number;
  /** Holes of the file: they read as zero and take no space. */
  holeBytes: number;
  /** Not in a hole, but free in a file system that can be trusted. */
  freeBytes: number;
  /** What a move would read, compress and send. */
  sendBytes: number;
  regions: readonly ImageRegion[];
  users: readonly (ImageUser | GuestUser)[];
}

/**
 * Describes an image and its users; changes nothing. The description of an image that is being written to may be wrong.
 * Throws the failures of `openImage`, and `read-failed`.
 * @param format by the image's name unless given
 * @param drivers their guests are named as users of the image, instead of the guests' processes
 */
export async function inspectImage(
  path: string,
  context: Context,
  drivers: readonly GuestDriver[] = [],
  format: ImageFormat = formatOfName(path),
): Promise<ImageReport> {
  await using disk = await openSourceDisk({ path, format }, { everyBlock: false, isInUse: true });
  const { source, layout, readBytes, holeBytes, freeBytes } = disk;
  const users = await nameGuests(await findUsers(source.path), drivers, context);
  context.signal.throwIfAborted();
  return {
    path: source.path,
    format: source.format,
    container: source.container,
    sizeBytes: source.sizeBytes,
    allocatedBytes: source.allocatedBytes,
    holeBytes,
    freeBytes,
    sendBytes: readBytes,
    regions: layout.regions,
    users,
  };
}
