import { announceSnapshot, confirmSnapshot } from '../../../src/repository/announced-snapshot.ts';
import type { GuestFolder } from '../../../src/repository/guest-folder.ts';
import type { Snapshot } from '../../../src/repository/snapshot.ts';

/** Publishes a snapshot as a backup does. All data that it needs must be in the store. */
export async function publishSnapshot(
  folder: GuestFolder,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<void> {
  await announceSnapshot(folder, snapshot, signal);
  if (!(await confirmSnapshot(folder, snapshot.id, signal))) throw new Error('the announcement is gone');
}
