import { hostname } from 'node:os';
import type { SealKey } from '../codec/seal.ts';
import type { Context } from '../events.ts';
import { asFailure, Failure } from '../failure.ts';
import type { FramePool } from '../frame/frame-pool.ts';
import type { ResolvedGuest } from '../guest/resolve-guest.ts';
import { Resources } from '../pipeline/resources.ts';
import { announceSnapshot, confirmSnapshot, dropAnnouncement } from '../repository/announced-snapshot.ts';
import type { ChunkMap } from '../chunk/chunk-map.ts';
import type { GuestFolder } from '../repository/guest-folder.ts';
import { parseSnapshot, snapshotText, type Snapshot, type SnapshotDisk } from '../repository/snapshot.ts';
import { snapshotId } from '../repository/snapshot-id.ts';
import type { GuestBackup } from './backup-report.ts';
import { captureDisks, type CapturedDisk } from './backup-capture.ts';
import { BackupWriter, LostFromStore } from './backup-writer.ts';
import type { Compression } from './compression-level.ts';
import type { GuestDependencies } from './guests.ts';
import { runStage } from './stage.ts';
import { holdStill, type HoldMethod, type HoldOptions } from './still-image.ts';

/** A prune that takes away what a backup relies on, past its grace period, is rare; twice in a row is a defect somewhere. */
const MOST_ATTEMPTS = 3;
const CLEAN_UP_LIMIT_MS = 5000;

export interface BackupOptions extends HoldOptions {
  hold: HoldMethod;
  compression: Compression;
  everyBlock: boolean;
}

export interface BackupDependencies extends GuestDependencies {
  version: string;
  pool: FramePool;
  now: () => Date;
  /** So many random hex digits. */
  randomHex: (digits: number) => string;
}

/** Makes a snapshot of one guest. */
export async function backupGuest(
  guest: ResolvedGuest,
  folder: GuestFolder,
  sealKey: SealKey,
  options: BackupOptions,
  dependencies: BackupDependencies,
  context: Context,
): Promise<GuestBackup> {
  const startedMs = performance.now();
  const { name } = guest.definition;
  // Looked at before the guest has to stand still.
  let writer = await BackupWriter.begin(folder, context);
  await using cleanup = new Resources();
  const still = cleanup.hold(await holdStill(guest, options.hold, options, dependencies, context));
  let captured: CapturedDisk[] = [];
  for (let attempt = 1; ; attempt++) {
    const writing = writer;
    captured = await runStage(
      context,
      'backup',
      `reading ${name}`,
      () => captureDisks(still, { ...options, writer: writing, sealKey, pool: dependencies.pool }, context),
      () => `read ${name}`,
    );
    await still.refuseChanged();
    if (await isSecured(writer, captured, attempt, context)) break;
    writer = await BackupWriter.begin(folder, context);
  }
  // All is read: from here on the guest may run and write.
  await cleanup[Symbol.asyncDispose]();
  const disks = await describeDisks(captured, writer, context.signal);
  const snapshot: Snapshot = {
    id: snapshotId(still.createdAt, dependencies.randomHex(8)),
    guest: name,
    createdAt: still.createdAt.toISOString(),
    consistency: still.consistency,
    definition: guest.definition,
    host: hostname(),
    vmferryVersion: dependencies.version,
    disks,
    newBytes: writer.newBytes,
  };
  const maps = captured.map(({ map }) => map);
  await publish(snapshot, maps, folder, writer, context.signal);
  return {
    guest: name,
    snapshot: snapshot.id,
    consistency: snapshot.consistency,
    disks: captured.map(({ report }) => report),
    newPlainBytes: writer.newPlainBytes,
    newBytes: writer.newBytes,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

/** False when it has to be captured again: a prune has taken away what it relied on. */
async function isSecured(
  writer: BackupWriter,
  captured: readonly CapturedDisk[],
  attempt: number,
  { signal, report }: Context,
): Promise<boolean> {
  try {
    await writer.secure(
      captured.map(({ map }) => map),
      signal,
    );
    return true;
  } catch (error) {
    if (!(error instanceof LostFromStore)) throw error;
    if (attempt >= MOST_ATTEMPTS) throw keepsLosing(error);
    const message = 'The store has lost packs that were there when this began: they are sent again.';
    report({ type: 'warning', code: 'store-incomplete', message });
    return false;
  }
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
      fingerprint: report.fingerprint,
      ...still.attributes,
      pages,
    });
  }
  return disks;
}

/** doc/store.md, Who writes when: announced, so that no prune takes away what it reaches; all of it seen; published. */
async function publish(
  snapshot: Snapshot,
  maps: readonly ChunkMap[],
  folder: GuestFolder,
  writer: BackupWriter,
  signal: AbortSignal,
): Promise<void> {
  refuseUnreadable(snapshot);
  try {
    for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
      await announceSnapshot(folder, snapshot, signal);
      await writer.secure(maps, signal);
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

function keepsLosing(cause?: Error): Failure {
  return new Failure('store-damaged', 'The store loses packs while this backup is made.', {
    advice:
      'See what else writes to it: a prune with too short a --grace, or another program. Then back up again.',
    transient: true,
    cause,
  });
}
