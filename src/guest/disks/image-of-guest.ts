import type { Context } from '../../events.ts';
import { isImageOnly } from '../definition.ts';
import { fenceOf } from '../guest-record.ts';
import { knownDefinitions, type GuestSources } from '../known-definitions.ts';
import type { ResolvedGuest } from '../resolve-guest.ts';
import { fileIdentity } from '../../system/file-identity.ts';

/**
 * Warns when an image that was named by its path is the only disk of a guest that is known here. Its snapshots would go
 * to a folder of their own, could not be booted, and would share no data with the guest's snapshots.
 */
export async function warnOfImageOfGuest(
  { definition }: Pick<ResolvedGuest, 'definition'>,
  sources: GuestSources,
  context: Context,
): Promise<void> {
  const [image] = definition.disks;
  if (!isImageOnly(definition) || image === undefined) return;
  const guest = await guestOfImage(image.path, sources, context);
  if (guest === null) return;
  const message = `${image.path} is the disk of the guest ${guest}. To get snapshots that can be booted, back the guest up by its name: ${guest}`;
  context.report({ type: 'warning', code: 'other', message });
}

/** Whether a guest that is known here has this file as a disk, by any path. */
export async function isDiskOfGuest(path: string, sources: GuestSources, context: Context): Promise<boolean> {
  const image = await fileIdentity(path);
  for (const { disks } of await knownDefinitions(sources, context))
    for (const disk of disks) if (image !== null && (await fileIdentity(disk.path)) === image) return true;
  return false;
}

/** The first guest whose only disk is this image, by any path. Guests that were moved away do not count. */
async function guestOfImage(path: string, sources: GuestSources, context: Context): Promise<string | null> {
  const image = await fileIdentity(path);
  for (const definition of await knownDefinitions(sources, context, (record) => fenceOf(record) === null)) {
    const [disk, ...others] = definition.disks;
    if (disk === undefined || others.length > 0) continue;
    if (image !== null && (await fileIdentity(disk.path)) === image) return definition.name;
  }
  return null;
}
