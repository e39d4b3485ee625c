import { sealPurpose } from '../seal/seal.ts';
import { Failure } from '../failure.ts';
import type { GuestFolder, StoredObject } from './guest-folder.ts';
import { fileNameOf } from './files/layout.ts';
import { MANIFEST_LIMIT_BYTES, parseSnapshot, snapshotText, type Snapshot } from './snapshot.ts';

/*
 * A snapshot on its way to being published (doc/store.md, Who writes when): prunes see it, readers do not yet.
 */

const FOLDER = 'announced';

/**
 * From now on no prune takes away what the snapshot reaches. What one took away before must be looked for after this, and
 * taken back or sent again; then `confirmSnapshot`.
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
 * From now on the snapshot exists: all that it reaches was seen in the store after it was announced. False when a prune has
 * dropped the announcement as one that nobody comes back to; then it has to be announced again.
 */
export async function confirmSnapshot(
  folder: GuestFolder,
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  const name = folder.nameOf('snapshots', id);
  if (await folder.store.rename(announcedName(folder, id), name, signal)) return true;
  // An answer that was lost with the line, and asked for again, says that too.
  return (await folder.snapshotIds(signal)).includes(id);
}

export async function announcedSnapshots(
  folder: GuestFolder,
  signal: AbortSignal,
): Promise<Map<string, StoredObject>> {
  return folder.objectsIn('snapshots', folder.pathOf(FOLDER), signal);
}

/** For a backup that gives up, and for a prune that finds an old one. */
export async function dropAnnouncement(folder: GuestFolder, id: string, signal: AbortSignal): Promise<void> {
  await folder.store.remove(announcedName(folder, id), signal);
}

/**
 * A snapshot that was announced, also when it was published meanwhile; null when it is neither any more. Throws what
 * `GuestFolder.readSnapshot` throws of one that is there.
 */
export async function readAnnounced(
  folder: GuestFolder,
  id: string,
  signal: AbortSignal,
): Promise<Snapshot | null> {
  return (
    (await unlessMissing(readManifest(folder, id, signal))) ??
    (await unlessMissing(folder.readSnapshot(id, signal)))
  );
}

async function readManifest(folder: GuestFolder, id: string, signal: AbortSignal): Promise<Snapshot> {
  const sealed = await folder.read(announcedName(folder, id), MANIFEST_LIMIT_BYTES, signal);
  const text = folder.seal.open(sealPurpose.snapshot(folder.guest, id), sealed);
  return parseSnapshot(Buffer.from(text).toString('utf8'), folder.guest, id);
}

/** Null for a manifest that is not there. */
export async function unlessMissing(reading: Promise<Snapshot>): Promise<Snapshot | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Failure && ['target-missing', 'snapshot-missing'].includes(error.code)) return null;
    throw error;
  }
}

function announcedName(folder: GuestFolder, id: string): string {
  return folder.pathOf(`${FOLDER}/${fileNameOf('snapshots', id, folder.seal.suffix)}`);
}
