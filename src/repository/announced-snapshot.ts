import { sealPurpose } from '../seal/seal.ts';
import { Failure } from '../failure.ts';
import type { GuestFolder } from './guest-folder.ts';
import type { GuestReader, StoredObject } from './guest-reader.ts';
import { fileNameOf } from './files/layout.ts';
import { snapshotText, type Snapshot } from './snapshot.ts';

/*
 * A snapshot that is about to be published (doc/store.md, Who writes when): prunes see it, readers do not yet.
 */

const FOLDER = 'announced';

/**
 * From now on no prune deletes data that the snapshot needs. Data that a prune removed earlier must now be looked for, and taken
 * back or sent again. After that, call `confirmSnapshot`.
 */
export async function announceSnapshot(
  folder: GuestFolder,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<void> {
  const purpose = sealPurpose.snapshot(folder.guest, snapshot.id);
  const sealed = folder.seal.seal(purpose, Buffer.from(snapshotText(snapshot)));
  await folder.store.put(announcedName(folder, snapshot.id), [sealed], { signal });
}

/**
 * Publishes the snapshot. All data that it needs must have been seen in the store after it was announced. Returns false if a
 * prune has dropped the announcement as abandoned; then announce it again.
 */
export async function confirmSnapshot(
  folder: GuestFolder,
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  const name = folder.nameOf('snapshots', id);
  if (await folder.store.rename(announcedName(folder, id), name, signal)) return true;
  // A repeated rename, after the first answer was lost, also finds nothing to rename.
  return (await folder.snapshotIds(signal)).includes(id);
}

export async function announcedSnapshots(
  folder: GuestReader,
  signal: AbortSignal,
): Promise<Map<string, StoredObject>> {
  return folder.objectsIn('snapshots', folder.pathOf(FOLDER), signal);
}

/** For a backup that gives up, and for a prune that finds an old announcement. */
export async function dropAnnouncement(folder: GuestFolder, id: string, signal: AbortSignal): Promise<void> {
  await folder.store.remove(announcedName(folder, id), signal);
}

/**
 * An announced snapshot, even if it was published meanwhile; null if it is gone. Throws what `readSnapshot` throws otherwise.
 */
export async function readAnnounced(
  folder: GuestReader,
  id: string,
  signal: AbortSignal,
): Promise<Snapshot | null> {
  return (
    (await unlessMissing(folder.readManifest(announcedName(folder, id), id, signal))) ??
    (await unlessMissing(folder.readSnapshot(id, signal)))
  );
}

/** Null if the manifest is gone. */
export async function unlessMissing(reading: Promise<Snapshot>): Promise<Snapshot | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Failure && ['target-missing', 'snapshot-missing'].includes(error.code)) return null;
    throw error;
  }
}

function announcedName(folder: GuestReader, id: string): string {
  return folder.pathOf(`${FOLDER}/${fileNameOf('snapshots', id, folder.seal.suffix)}`);
}
