import type { Context } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import { announceSnapshot, confirmSnapshot, dropAnnouncement } from '../../repository/announced-snapshot.ts';
import type { ChunkMap } from '../../chunk/chunk-map.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import { refuseExchanged } from '../../repository/refuse-exchanged.ts';
import { parseSnapshot, snapshotText, type Snapshot, type SnapshotDisk } from '../../repository/snapshot.ts';
import { snapshotId } from '../../repository/files/snapshot-id.ts';
import type { CapturedDisk } from './capture-disks.ts';
import type { BackupDependencies, BackupOptions } from './options.ts';
import { LostFromStore, type BackupWriter } from './pack-writer.ts';
import { refuseOtherSource } from './refuse-other-source.ts';
import type { StillGuest } from '../../hold/still-guest.ts';

/** A prune that takes away what a backup relies on, past its grace period, is rare; twice in a row is a defect somewhere. */
export const MOST_ATTEMPTS = 3;
const CLEAN_UP_LIMIT_MS = 5000;

/** A guest's folder, in the store that was opened. */
export interface Destination {
  folder: GuestFolder;
  /** As its marker said. */
  storeId: string;
}

type SnapshotMaking = Pick<BackupDependencies, 'version' | 'randomHex' | 'machine' | 'now'> &
  Pick<BackupOptions, 'adopt'>;

/**
 * Stores the pages of the maps, and publishes a snapshot of what was captured. Throws Failure `store-damaged` (transient)
 * when a prune takes away time and again what it relies on, `target-exists` when another guest has got the name meanwhile,
 * and what `refuseExchanged` throws; nothing is announced any more then.
 */
export async function makeSnapshot(
  guest: ResolvedGuest,
  destination: Destination,
  { createdAt, consistency }: StillGuest,
  captured: readonly CapturedDisk[],
  writer: BackupWriter,
  { version, randomHex, machine, now, adopt }: SnapshotMaking,
  { signal }: Context,
): Promise<Snapshot> {
  const disks = await describeDisks(captured, writer, signal);
  const { definition } = guest;
  const here = machine();
  const snapshot: Snapshot = {
    id: snapshotId(createdAt, randomHex(5)),
    guest: destination.folder.guest,
    createdAt: createdAt.toISOString(),
    consistency,
    definition,
    host: here.host,
    ...(here.id !== null && { machine: here.id }),
    vmferryVersion: version,
    disks,
    newBytes: writer.newBytes,
  };
  const maps = captured.map(({ map }) => map);
  // Looked at again after it was announced: of two backups that began at once, at least one sees the other.
  const refuseOther = async () => {
    const own = { guest, machine: here, now };
    if (!adopt) await refuseOtherSource(destination.folder, own, signal, snapshot.id);
  };
  await publish(snapshot, maps, destination, writer, refuseOther, signal);
  return snapshot;
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
 * doc/store.md, Who writes when: announced, so that no prune takes away what it reaches; all of it seen; the marker seen
 * to be that of the store that all of it was made for; published.
 */
async function publish(
  snapshot: Snapshot,
  maps: readonly ChunkMap[],
  { folder, storeId }: Destination,
  writer: BackupWriter,
  refuseOther: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  refuseUnreadable(snapshot);
  try {
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      await announceSnapshot(folder, snapshot, signal);
      await refuseOther();
      await writer.secure(maps, signal);
      await refuseExchanged(folder.store, { id: storeId, seal: folder.seal }, signal);
      if (await confirmSnapshot(folder, snapshot.id, signal)) return;
    }
    throw keepsLosing();
  } catch (error) {
    // Also when interrupted; a prune would find it otherwise.
    await dropAnnouncement(folder, snapshot.id, AbortSignal.timeout(CLEAN_UP_LIMIT_MS)).catch(
      () => undefined,
    );
    throw error instanceof LostFromStore ? keepsLosing(error) : error;
  }
}

/** What could not be read again would be no backup, and would keep prunes from their work. */
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
  return new Failure('store-damaged', 'The store loses packs while this backup is made.', {
    advice:
      'See what else writes to it: a prune with too short a --grace, or another program. Then back up again.',
    transient: true,
    cause,
  });
}
