import { stat } from 'node:fs/promises';
import type { Context } from '../events.ts';
import type { DiskDefinition, GuestDefinition } from '../guest/definition.ts';
import type { GuestDriver, RunningGuest } from '../guest/guest-driver.ts';
import { othersThan, refuseUsedDisks } from '../guest/disks/used-disks.ts';
import { removeStaleClones, type FileBeside } from '../image/clones/clone.ts';
import { isUnclean } from '../image/unclean.ts';
import type { UserFilter } from '../image/usage/refuse-used.ts';
import { refuseChanged, stampImages } from '../image/image-stamp.ts';
import type { StillDisk } from './still-guest.ts';

/**
 * Describes the disk as it is now. It is read from the clone if there is one.
 * @param isInUse whether the guest's hypervisor has the disk open
 */
export async function describeDisk(
  { device, path: image, format = 'raw', backing }: DiskDefinition,
  { isInUse, clone = null }: { isInUse: boolean; clone?: FileBeside | null },
): Promise<StillDisk> {
  const { mode, uid, gid, mtimeMs } = await stat(image);
  const attributes = { mode: mode & 0o777, uid, gid, modifiedMs: mtimeMs };
  const below = backing === undefined ? {} : { backing };
  return { device, image, path: clone?.path ?? image, format, ...below, isInUse, clone, attributes };
}

/** Removes clones of the image that killed runs of vmferry left. */
export function removeLeftClones(image: string, { report }: Context): void {
  for (const removed of removeStaleClones(image)) {
    const message = `${removed} was left by a vmferry that was killed, and has been removed.`;
    report({ type: 'warning', code: 'other', message });
  }
}

const USED_ADVICE =
  'End that use first, or wait until it ends. To back up a running guest, give its name: see `vmferry guests`.';

/**
 * Throws Failure `image-in-use` when anything but the guest itself has one of its images open. A reader, such as a
 * second backup, does no harm while the guest does not run. While it runs, both backups would stop it, and the first to
 * end would let it go on.
 */
export async function refuseUsed(
  definition: GuestDefinition,
  running: RunningGuest | null,
  drivers: readonly GuestDriver[],
): Promise<void> {
  const writers: UserFilter = (users) => users.filter(({ onlyReads }) => onlyReads !== true);
  await refuseUsedDisks(definition, USED_ADVICE, running === null ? writers : othersThan(running, drivers));
}

const CHANGED_ADVICE =
  'Something on this machine wrote to it, or started the guest. Stop that, and back it up again.';

/** Notes the images' state now; the result is `StillGuest.refuseChanged`. */
export async function watchForChanges(
  definition: GuestDefinition,
  running: RunningGuest | null,
  drivers: readonly GuestDriver[],
): Promise<() => Promise<void>> {
  const before = await stampImages(definition.disks);
  return async () => {
    // A block device has no stamp. A program that wrote to it probably still has it open.
    await refuseUsed(definition, running, drivers);
    await refuseChanged(before, CHANGED_ADVICE);
  };
}

/** The images with a file system that was not unmounted cleanly. */
export async function imagesNotClean({ disks }: GuestDefinition): Promise<string[]> {
  const notClean: string[] = [];
  for (const disk of disks) if (await isUnclean(disk)) notClean.push(disk.path);
  return notClean;
}
