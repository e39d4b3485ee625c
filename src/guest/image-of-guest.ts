import type { Context } from '../events.ts';
import { isImageOnly } from './definition.ts';
import { fenceOf } from './guest-record.ts';
import { knownDefinitions, type GuestSources, type ResolvedGuest } from './resolve-guest.ts';
import { fileIdentity } from '../system/file-identity.ts';

/**
 * Warns when an image that was named by its path is the only disk of a guest that is known here: its snapshots would lie in a
 * folder of their own, without what boots the guest, and nothing of them would be shared with those of the guest.
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
  const message = `${image.path} is the disk of the guest ${guest}: back that up by its name, ${guest}, so that a snapshot can also be booted.`;
  context.report({ type: 'warning', code: 'other', message });
}

/** The first guest that has this image, by whatever path, as its only disk; one that was moved away has none here. */
async function guestOfImage(path: string, sources: GuestSources, context: Context): Promise<string | null> {
  const image = await fileIdentity(path);
  for (const definition of await knownDefinitions(sources, context, (record) => fenceOf(record) === null)) {
    const [disk, ...others] = definition.disks;
    if (disk === undefined || others.length > 0) continue;
    if (image !== null && (await fileIdentity(disk.path)) === image) return definition.name;
  }
  return null;
}
