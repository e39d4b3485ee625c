import { stat } from 'node:fs/promises';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import type { DiskDefinition, GuestDefinition } from '../guest/definition.ts';
import type { RunningGuest } from '../guest/guest-driver.ts';
import { removeStaleClones, type FileBeside } from '../image/clones/clone.ts';
import { openImage } from '../image/formats/raw/open-image.ts';
import { probeImage } from '../image/probe.ts';
import { findUsers } from '../image/usage/usage.ts';
import { descendantsOf, readProcess } from '../system/proc-process.ts';
import { describeUsers } from '../image/usage/describe-users.ts';
import { stampSource } from './source-stamp.ts';
import type { StillDisk } from './still-guest.ts';

/** The disk as it is now, to be read in the clone where there is one. */
export async function describeDisk(
  { device, path: image }: DiskDefinition,
  clone: FileBeside | null = null,
): Promise<StillDisk> {
  const { mode, uid, gid, mtimeMs } = await stat(image);
  const attributes = { mode: mode & 0o777, uid, gid, modifiedMs: mtimeMs };
  return { device, image, path: clone?.path ?? image, clone, attributes };
}

/** Removes the clones of an image that backups which were killed have left. */
export function removeLeftClones(image: string, { report }: Context): void {
  for (const removed of removeStaleClones(image)) {
    const message = `${removed} was left by a backup that was killed, and has been removed.`;
    report({ type: 'warning', code: 'other', message });
  }
}

/**
 * Throws Failure `image-in-use` when anyone but the guest itself has one of its images open. What the guest only reads
 * may be shared with other guests. An image that no guest runs on may have readers: two backups of it do no harm to each
 * other. While the guest runs they would, as both stop it, and the first that ends lets it go on.
 */
export async function refuseUsed({ disks }: GuestDefinition, running: RunningGuest | null): Promise<void> {
  for (const { path, readOnly } of disks) {
    if (readOnly) continue;
    const found = await findUsers(path);
    // Asked afterwards: a guest's own processes come and go, and those that are gone use nothing.
    const own = running === null ? [] : [running.pid, ...descendantsOf(running.pid).map(({ pid }) => pid)];
    const users = found
      .filter(({ onlyReads }) => running !== null || onlyReads !== true)
      .filter(({ pid }) => pid === undefined || (!own.includes(pid) && readProcess(pid) !== null));
    if (users.length === 0) continue;
    throw new Failure('image-in-use', `${path} ${describeUsers(users)}.`, {
      advice:
        'End that first, or wait until it ends. A running guest is backed up by its name: see `vmferry guests`.',
    });
  }
}

/** Tells later whether the images are still what they were: see `StillGuest.refuseChanged`. */
export async function watchForChanges(
  definition: GuestDefinition,
  running: RunningGuest | null,
): Promise<() => Promise<void>> {
  const before = await stampSource(definition);
  return async () => {
    // Of a block device the stamp says nothing; somebody who still uses it says enough.
    await refuseUsed(definition, running);
    const now = await stampSource(definition);
    const changed = definition.disks.filter((_, index) => now[index] !== before[index]);
    if (changed.length === 0) return;
    const paths = changed.map(({ path }) => path).join(', ');
    throw new Failure('image-in-use', `${paths} changed while it was read.`, {
      advice: 'Something on this machine wrote to it, or started the guest. Stop that, and back it up again.',
    });
  };
}

/** The images with a file system that does not say that it was unmounted in an orderly way. */
export function imagesNotClean({ disks }: GuestDefinition): string[] {
  return disks
    .map(({ path }) => path)
    .filter((path) => {
      using image = openImage(path);
      return probeImage(image).regions.some(({ clean }) => clean === false);
    });
}
