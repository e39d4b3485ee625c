import type { Context } from '../../events.ts';
import { lastVerifiedMs, type CheckRecord } from '../../repository/check-record.ts';
import type { GuestReader, StoredObject } from '../../repository/guest-reader.ts';
import type { Consistency } from '../../guest/consistency.ts';
import { snapshotTime } from '../../repository/files/snapshot-id.ts';
import { trashed } from '../../repository/trash/trash.ts';
import { damageOfOneGuest } from '../store-access/damage-of-one-guest.ts';
import { chosenGuests } from '../store-access/chosen-guests.ts';
import type { ReadSession } from '../store-access/store-session.ts';
import { readManifests, type ReadManifest } from '../store-access/read-manifests.ts';
import { readCheckRecord } from '../store-access/stored-check-records.ts';

export interface StoreListing {
  type: 'store';
  store: string;
  isEncrypted: boolean;
  guests: readonly GuestListing[];
}

export interface GuestListing {
  guest: string;
  /** The oldest first. */
  snapshots: readonly SnapshotListing[];
  packs: number;
  /** Packs, maps, indexes and manifests, without the trash. */
  storedBytes: number;
  trashBytes: number;
  /** Packs and pages that verify has found damaged and that still exist. */
  damagedFiles: number;
}

export interface SnapshotListing {
  id: string;
  /** ISO 8601, UTC. */
  createdAt: string;
  /** Null if the manifest cannot be read, like everything else that only the manifest says. */
  consistency: Consistency | null;
  /** The host that it was made on. */
  host: string | null;
  /** Total size of its disks. */
  sizeBytes: number | null;
  /** How much of the disks was in use; null also for snapshots of early versions. */
  usedBytes: number | null;
  /** Bytes that it added to the store. */
  newBytes: number | null;
  isProtected: boolean;
  /** The result of the last verify; null: never verified. */
  state: 'whole' | 'damaged' | null;
  /** When it was last verified; ISO 8601. */
  checkedAt: string | null;
  /** When reading all its data, or booting it, last proved it good; ISO 8601. Null: never. */
  verifiedAt: string | null;
  /** When it was last restored and booted. */
  bootedAt: string | null;
  /** Why its manifest cannot be read: a full sentence. */
  problem: string | null;
}

/**
 * Lists what a store has, of one guest or of all. Reads manifests and records of checks, but no packs or indexes. Throws Failure
 * `snapshot-missing` if it has no backups of that guest, and what reading from the store throws.
 * @param guest null: all
 */
export async function listStore(
  guest: string | null,
  session: ReadSession,
  context: Context,
): Promise<StoreListing> {
  const guests: GuestListing[] = [];
  for (const name of await chosenGuests(guest, session, context.signal))
    try {
      guests.push(await listGuest(session.folder(name), context));
    } catch (error) {
      if (guest !== null) throw error;
      const { message } = damageOfOneGuest(error, context.signal);
      context.report({
        type: 'warning',
        code: 'store-incomplete',
        message: `${name} is not listed: ${message}`,
      });
    }
  await session.saw(
    new Map(guests.map(({ guest: name, snapshots }) => [name, snapshots.map(({ id }) => id)])),
    context,
  );
  const isEncrypted = session.opened.key !== null;
  return { type: 'store', store: session.store.location, isEncrypted, guests };
}

async function listGuest(folder: GuestReader, { signal, report }: Context): Promise<GuestListing> {
  const manifestFiles = await folder.objects('snapshots', signal);
  const { record, failures } = await readCheckRecord(folder, signal);
  for (const { message } of failures) report({ type: 'warning', code: 'store-incomplete', message });
  const isProtected = await folder.marks('protected', signal);
  const snapshots: SnapshotListing[] = [];
  for await (const manifest of readManifests(folder, [...manifestFiles.keys()].sort(), signal))
    snapshots.push(describe(manifest, record, isProtected.has(manifest.id)));
  const packs = await folder.objects('packs', signal);
  const maps = await folder.objects('maps', signal);
  const indexes = await folder.objects('index', signal);
  const damaged = await folder.marks('damaged', signal);
  return {
    guest: folder.guest,
    snapshots,
    packs: packs.size,
    storedBytes: [manifestFiles, packs, maps, indexes].reduce((sum, files) => sum + bytesOf(files), 0),
    trashBytes: await trashBytes(folder, signal),
    damagedFiles: [...damaged].filter((id) => packs.has(id) || maps.has(id)).length,
  };
}

function describe(
  { id, snapshot, failure }: ReadManifest,
  record: CheckRecord,
  isProtected: boolean,
): SnapshotListing {
  const check = record.snapshots.get(id);
  const verifiedMs = check === undefined ? null : lastVerifiedMs(check);
  return {
    id,
    createdAt: snapshot?.createdAt ?? snapshotTime(id)?.toISOString() ?? '',
    consistency: snapshot?.consistency ?? null,
    host: snapshot?.host ?? null,
    sizeBytes: snapshot?.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) ?? null,
    usedBytes: usedBytesOf(snapshot?.disks ?? [{}]),
    newBytes: snapshot?.newBytes ?? null,
    isProtected,
    state: failure === null ? (check?.state ?? null) : 'damaged',
    checkedAt: isoTime(check?.checkedMs ?? null),
    verifiedAt: isoTime(verifiedMs),
    bootedAt: isoTime(check?.bootedMs ?? null),
    problem: failure?.message ?? null,
  };
}

/** Null if it is unknown for one of the disks. */
function usedBytesOf(disks: readonly { usedBytes?: number }[]): number | null {
  return disks.reduce<number | null>(
    (sum, { usedBytes }) => (sum === null || usedBytes === undefined ? null : sum + usedBytes),
    0,
  );
}

async function trashBytes(folder: GuestReader, signal: AbortSignal): Promise<number> {
  let bytes = 0;
  for (const kind of ['packs', 'maps', 'index'] as const)
    bytes += bytesOf(await trashed(folder, kind, signal));
  return bytes;
}

function bytesOf(files: ReadonlyMap<string, StoredObject>): number {
  let bytes = 0;
  for (const { sizeBytes } of files.values()) bytes += sizeBytes;
  return bytes;
}

function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
