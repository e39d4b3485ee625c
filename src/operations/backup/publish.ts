import type { Context } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import { announceSnapshot, confirmSnapshot, dropAnnouncement } from '../../repository/announced-snapshot.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import { refuseExchanged } from '../../repository/refuse-exchanged.ts';
import { parseSnapshot, snapshotText, type Snapshot, type SnapshotDisk } from '../../repository/snapshot.ts';
import { snapshotId } from '../../repository/files/snapshot-id.ts';
import type { CapturedDisk } from './capture-disks.ts';
import type { GuestBackupJob } from './options.ts';
import { LostFromStore, type BackupWriter } from './pack-writer.ts';
import { refuseOtherSource } from './refuse-other-source.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import type { StillGuest } from '../../hold/still-guest.ts';

/**
 * After its grace period a prune may remove packs that a backup relies on. This is rare; several times in a
 * row is a defect.
 */
export const MOST_ATTEMPTS = 3;
const CLEAN_UP_LIMIT_MS = 5000;

/** A guest whose disks were read, and whose chunks are in the store. */
export interface ReadGuest {
  still: StillGuest;
  captured: readonly CapturedDisk[];
  writer: BackupWriter;
}

/**
 * Stores the pages of the maps, and publishes a snapshot of what was captured. Throws Failure `store-damaged` (transient)
 * when prunes keep removing what it relies on, `target-exists` when another guest has got the name meanwhile, and what
 * `refuseExchanged` throws; its announcement is then withdrawn.
 */
export async function makeSnapshot(
  { guest, folder, store, options, dependencies }: GuestBackupJob,
  { still, captured, writer }: ReadGuest,
  { signal }: Context,
): Promise<Snapshot> {
  const { version, randomHex, machine, now } = dependencies;
  const { createdAt, consistency } = stateOf(guest, still);
  const disks = await describeDisks(captured, writer, signal);
  const here = machine();
  const { definition, machine: madeOn } = guest.archived ?? { definition: guest.definition, machine: here };
  const snapshot: Snapshot = {
    id: snapshotId(createdAt, randomHex(5)),
    guest: folder.guest,
    createdAt: createdAt.toISOString(),
    consistency,
    definition,
    host: madeOn.host,
    ...(madeOn.id !== null && { machine: madeOn.id }),
    vmferryVersion: version,
    disks,
    newBytes: writer.newBytes,
  };
  const maps = captured.map(({ map }) => map);
  await publish(snapshot, folder, signal, async () => {
    // Checked again once announced: of two backups that begin at once, at least one sees the other.
    if (!options.adopt) await refuseOtherSource(folder, { guest, machine: here, now }, signal, snapshot.id);
    await writer.secure(maps, signal);
    await refuseExchanged(folder.store, { id: store.id, seal: folder.seal }, signal);
  });
  return snapshot;
}

/** An archive says itself of which time its disks are. A time to come, by another clock, would be the latest for long. */
function stateOf(
  { archived }: ResolvedGuest,
  still: StillGuest,
): Pick<StillGuest, 'createdAt' | 'consistency'> {
  const state = archived?.state ?? still;
  return state.createdAt > still.createdAt ? { ...state, createdAt: still.createdAt } : state;
}

async function describeDisks(
  captured: readonly CapturedDisk[],
  writer: BackupWriter,
  signal: AbortSignal,
): Promise<SnapshotDisk[]> {
  const disks: SnapshotDisk[] = [];
  for (const { still, map, report } of captured) {
    const { sizeBytes, chunkBytes } = { ...map.grid, sizeBytes: map.grid.imageBytes };
    const pages = await writer.putPages(map, signal);
    disks.push({
      name: report.name,
      sizeBytes,
      chunkBytes,
      usedBytes: report.readBytes + report.unchangedBytes,
      fingerprint: report.fingerprint,
      ...still.attributes,
      pages,
    });
  }
  return disks;
}

/**
 * Publishes a snapshot (doc/store.md, Who writes when). It is announced first, so that no prune removes what it needs.
 * @param check throws when the announced snapshot must not be published
 */
async function publish(
  snapshot: Snapshot,
  folder: GuestFolder,
  signal: AbortSignal,
  check: () => Promise<void>,
): Promise<void> {
  refuseUnreadable(snapshot);
  try {
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      await announceSnapshot(folder, snapshot, signal);
      await check();
      if (await confirmSnapshot(folder, snapshot.id, signal)) return;
    }
    throw keepsLosing();
  } catch (error) {
    // Removed also after an interruption; otherwise a later prune would have to do it.
    await dropAnnouncement(folder, snapshot.id, AbortSignal.timeout(CLEAN_UP_LIMIT_MS)).catch(
      () => undefined,
    );
    throw error instanceof LostFromStore ? keepsLosing(error) : error;
  }
}

/** A manifest that cannot be read is no backup, and would stop every prune. */
function refuseUnreadable(snapshot: Snapshot): void {
  try {
    parseSnapshot(snapshotText(snapshot), snapshot.guest, snapshot.id);
  } catch (cause) {
    throw new Failure('internal', `No snapshot of ${snapshot.guest} was made: ${asFailure(cause).message}`, {
      cause,
    });
  }
}

export function keepsLosing(cause?: Error): Failure {
  return new Failure('store-damaged', 'Packs disappear from the store during this backup.', {
    advice:
      'Find out what removes them: a prune with too short a --grace, or another program. Then back up again.',
    transient: true,
    cause,
  });
}
