import { basename, dirname } from 'node:path';
import { Failure } from '../../failure.ts';
import { isGuestName } from '../../guest/definition.ts';
import { isSameMachine, isSameSource, sourceOf, type GuestSource } from '../../guest/guest-source.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import { announcedSnapshots, readAnnounced, unlessMissing } from '../../repository/announced-snapshot.ts';
import type { GuestReader } from '../../repository/guest-reader.ts';
import { latestFirst } from '../../repository/latest.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { Machine } from '../../system/machine.ts';
import { manifestCodes } from '../store-access/read-manifests.ts';

/** The guest that is backed up, to be compared with the guest in the store. */
export interface OwnSource {
  guest: Pick<ResolvedGuest, 'definition' | 'record' | 'archived'>;
  machine: Machine;
  now: () => Date;
}

/**
 * Throws Failure `target-exists` when the latest snapshot in the folder, published or announced, is of another guest.
 * Otherwise the folder would mix snapshots of two guests, and a prune would keep only those of one. A guest that vmferry moved
 * here is recognised by its record.
 * @param ownId the backup's own snapshot, which does not count
 */
export async function refuseOtherSource(
  folder: GuestReader,
  { guest: { definition, record, archived }, machine, now }: OwnSource,
  signal: AbortSignal,
  ownId: string | null = null,
): Promise<void> {
  const latest = await latestSnapshot(folder, now(), ownId, signal);
  if (latest === null) return;
  const stored = sourceOf(latest.definition, { host: latest.host, id: latest.machine ?? null });
  const own = archived ?? { definition, machine };
  const wanted = sourceOf(own.definition, own.machine);
  for (const source of [wanted, ...(record?.sources ?? [])])
    if (await isSameSource(stored, source, machine)) return;
  throw otherGuest(latest, stored, wanted);
}

/** Skips snapshots that cannot be read. Lists announced ones first, so as not to miss one that is published meanwhile. */
async function latestSnapshot(
  folder: GuestReader,
  now: Date,
  ownId: string | null,
  signal: AbortSignal,
): Promise<Snapshot | null> {
  const announced = (await announcedSnapshots(folder, signal)).keys();
  const published = new Set(await folder.snapshotIds(signal));
  const ids = new Set([...announced, ...published]);
  if (ownId !== null) ids.delete(ownId);
  const read = (id: string) =>
    published.has(id) ? unlessMissing(folder.readSnapshot(id, signal)) : readAnnounced(folder, id, signal);
  for (const id of latestFirst(ids, now)) {
    const snapshot = await read(id).catch((error: unknown) => {
      if (error instanceof Failure && manifestCodes.has(error.code)) return null;
      throw error;
    });
    if (snapshot !== null) return snapshot;
  }
  return null;
}

function otherGuest({ guest, createdAt }: Snapshot, stored: GuestSource, wanted: GuestSource): Failure {
  // Another machine with the same name.
  const isNamesake = stored.host === wanted.host && !isSameMachine(stored, wanted);
  const storedHost = isNamesake ? `another machine that is also called ${stored.host}` : stored.host;
  const day = createdAt.slice(0, 10);
  return new Failure(
    'target-exists',
    `The store has another guest under the name ${guest}: ${placeOf(stored, storedHost)}, backed up on ${day}. ` +
      `This one is ${placeOf(wanted, wanted.host)}.`,
    {
      advice:
        `If this is another guest, give it another name in the store: --name ${suggestName(guest, wanted)}. ` +
        'If it is the same guest, moved or restored to this place, confirm that once: --adopt',
    },
  );
}

function placeOf({ images }: GuestSource, host: string): string {
  const [first = 'no image', ...others] = images;
  return `${first}${others.length === 0 ? '' : ` and ${others.length} more`} on ${host}`;
}

/** `mail-disk.img` for an image `/srv/mail/disk.img`; `web-HOST` for a guest web. */
function suggestName(guest: string, { host, images }: GuestSource): string {
  const [image = ''] = images;
  const name = basename(image) === guest ? `${basename(dirname(image))}-${guest}` : `${guest}-${host}`;
  return isGuestName(name) && /^[\w.@+-]+$/.test(name) ? name : 'NAME';
}
