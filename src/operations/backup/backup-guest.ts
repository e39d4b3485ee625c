import type { Context } from '../../events.ts';
import { asFailure, type Failure } from '../../failure.ts';
import type { GuestBackup } from './backup-report.ts';
import type { GuestBackupJob } from './options.ts';
import { captureDisks, type CapturedDisk } from './capture-disks.ts';
import { earlierMapsOf } from './earlier-maps.ts';
import { GuestRecordings } from './guest-recordings.ts';
import { keepsLosing, makeSnapshot, MOST_ATTEMPTS, type ReadGuest } from './publish.ts';
import { BackupWriter, LostFromStore } from './pack-writer.ts';
import { NextBases, removeBases, removeOldBases } from './next-bases.ts';
import type { RecordedDisk } from '../../repository/recording-notes.ts';
import { yielding } from '../../workers/yielding.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { Standstill } from './standstill.ts';

/** Makes a snapshot of one guest. */
export async function backupGuest(job: GuestBackupJob, context: Context): Promise<GuestBackup> {
  const { guest, folder, store, options } = job;
  const startedMs = performance.now();
  using bases = new NextBases();
  await using recordings = await GuestRecordings.open(job);
  const standstill = new Standstill(guest, folder, options, context);
  const read = await readStill(job, standstill, { bases, recordings }).catch(async (error: unknown) => {
    throw await standstill.endAfter(error);
  });
  // All disks are read, so the guest may write again. If it cannot be started, its snapshot matters even more.
  const notLetGo = await failureOf(standstill.end());
  const snapshot = await makeSnapshot(job, read, context).catch((error: unknown) => {
    throw notLetGo ?? error;
  });
  bases.keep(read.captured, store.id, snapshot.id);
  await recordings?.keep(read.still, read.captured.map(recordedDisk), snapshot.id);
  if (notLetGo !== null) {
    const { guest: name, id } = snapshot;
    throw notLetGo.withMessage(`${notLetGo.message} The snapshot was made: ${name}@${id}`);
  }
  return {
    guest: snapshot.guest,
    snapshot: snapshot.id,
    consistency: snapshot.consistency,
    disks: read.captured.map(({ report }) => report),
    newPlainBytes: read.writer.newPlainBytes,
    newBytes: read.writer.newBytes,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

function recordedDisk({ map, report: { fingerprint }, usage }: CapturedDisk): RecordedDisk {
  return { sizeBytes: map.grid.imageBytes, fingerprint, usage: usage ?? new Uint8Array() };
}

/** Makes the guest stand still, and reads its disks. The caller ends the standstill. */
async function readStill(
  { guest, store, options, dependencies }: GuestBackupJob,
  standstill: Standstill,
  { bases, recordings }: { bases: NextBases; recordings: GuestRecordings | null },
): Promise<ReadGuest> {
  const { name, disks } = guest.definition;
  const { version, pool, now, randomHex } = dependencies;
  const { folder, context } = standstill;
  const images = disks.map(({ path }) => path);
  if (options.keepClones) removeOldBases(images, store.id, now());
  else removeBases(images);
  const { compression, everyBlock, keepClones } = options;
  const usesBases = keepClones && !everyBlock;
  const comparison = {
    maps: earlierMapsOf({ folder, storeId: store.id, version }),
    recordings,
    random: () => Number.parseInt(randomHex(8), 16) / 2 ** 32,
  };
  const sealKey = store.key;
  const reading = {
    sealKey,
    pool,
    compression,
    everyBlock,
    toldSnapshots: guest.earlierStates?.insideImages ?? [],
    comparison: usesBases ? comparison : null,
  };
  // Read before the guest has to stand still.
  let writer = await BackupWriter.begin(folder, context);
  const still = await standstill.begin(dependencies, recordings?.request ?? null);
  recordings?.begun(still);
  if (usesBases) bases.take(still.disks, context);
  const runsOn = guest.running !== null && !still.guestWaits;
  for (let attempt = 1; ; attempt++) {
    const withWriter = { ...reading, writer };
    const capture = () => captureDisks(still, withWriter, context);
    const captured = await runStage(
      context,
      'backup',
      `reading ${name}`,
      () => (runsOn ? yielding(pool, capture) : capture()),
      () => `read ${name}`,
    );
    await still.refuseChanged();
    if (await isSecured(writer, captured, attempt, context)) return { still, captured, writer };
    writer = await BackupWriter.begin(folder, context);
  }
}

async function failureOf(work: Promise<void>): Promise<Failure | null> {
  try {
    await work;
    return null;
  } catch (error) {
    return asFailure(error);
  }
}

/** False: a prune has removed packs that this backup relies on, and the disks have to be captured again. */
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
    const message = 'The store has lost packs that were there when this backup began. They are sent again.';
    report({ type: 'warning', code: 'store-incomplete', message });
    return false;
  }
}
