import type { Context } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { OpenedStore } from '../../repository/keys/store-keys.ts';
import type { GuestBackup } from './backup-report.ts';
import type { BackupDependencies, BackupOptions } from './options.ts';
import { captureDisks, type CapturedDisk } from './capture-disks.ts';
import { keepsLosing, makeSnapshot, MOST_ATTEMPTS } from './publish.ts';
import { BackupWriter, LostFromStore } from './pack-writer.ts';
import { ComingBases, removeBases, removeOldBases } from './coming-bases.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { Standstill } from './standstill.ts';
import type { StillGuest } from '../../hold/still-guest.ts';

/** Makes a snapshot of one guest. */
export async function backupGuest(
  guest: ResolvedGuest,
  folder: GuestFolder,
  store: Pick<OpenedStore, 'id' | 'key'>,
  options: BackupOptions,
  dependencies: BackupDependencies,
  context: Context,
): Promise<GuestBackup> {
  const startedMs = performance.now();
  using bases = new ComingBases();
  const standstill = new Standstill(guest, folder, options, context);
  const { still, captured, writer } = await readStill(
    guest,
    standstill,
    store,
    options,
    dependencies,
    bases,
  ).catch(async (error: unknown) => {
    throw await standstill.endAfter(error);
  });
  // All is read: from here on the guest may run and write. Where it cannot, its snapshot is needed all the more.
  const notLetGo = await failureOf(standstill.end());
  const snapshot = await makeSnapshot(
    guest,
    { folder, storeId: store.id },
    still,
    captured,
    writer,
    { ...dependencies, adopt: options.adopt },
    context,
  ).catch((error: unknown) => {
    throw notLetGo ?? error;
  });
  bases.keep(captured, store.id, snapshot.id);
  if (notLetGo !== null) throw madeAllTheSame(notLetGo, snapshot);
  return {
    guest: snapshot.guest,
    snapshot: snapshot.id,
    consistency: snapshot.consistency,
    disks: captured.map(({ report }) => report),
    newPlainBytes: writer.newPlainBytes,
    newBytes: writer.newBytes,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

/** Makes the guest stand still, and reads it; the standstill is the caller's to end. */
async function readStill(
  guest: ResolvedGuest,
  standstill: Standstill,
  store: Pick<OpenedStore, 'id' | 'key'>,
  options: BackupOptions,
  dependencies: BackupDependencies,
  bases: ComingBases,
): Promise<{ still: StillGuest; captured: CapturedDisk[]; writer: BackupWriter }> {
  const { name, disks } = guest.definition;
  const { version, pool, now, randomHex } = dependencies;
  const { folder, context } = standstill;
  const images = disks.map(({ path }) => path);
  if (options.keepClones) removeOldBases(images, store.id, now());
  else removeBases(images);
  const usesBases = options.keepClones && !options.everyBlock;
  const capturing = {
    ...options,
    sealKey: store.key,
    pool,
    bases: usesBases ? { folder, storeId: store.id, version } : null,
    random: () => Number.parseInt(randomHex(8), 16) / 2 ** 32,
  };
  // Looked at before the guest has to stand still.
  let writer = await BackupWriter.begin(folder, context);
  const still = await standstill.begin(dependencies);
  if (usesBases) bases.take(still.disks, context);
  for (let attempt = 1; ; attempt++) {
    const writing = writer;
    const captured = await runStage(
      context,
      'backup',
      `reading ${name}`,
      () => captureDisks(still, { ...capturing, writer: writing }, context),
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

function madeAllTheSame(cause: Failure, { id, guest }: Snapshot): Failure {
  const { code, message, advice } = cause;
  const told = `${message} Its snapshot was made all the same: ${guest}@${id}`;
  return new Failure(code, told, { ...(advice === undefined ? {} : { advice }), cause });
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
