import { performance } from 'node:perf_hooks';
import type { Context } from '../../events.ts';
import type { Failure } from '../../failure.ts';
import { formatTimeWithZone } from '../../figures.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import { Resources } from '../../pipeline/resources.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { readChosenSnapshot } from './chosen-snapshot.ts';
import { isConversion } from '../migrate/conversion/guest-there.ts';
import { adaptRestored, convertRestored, type RestoredGuest } from './convert-restored.ts';
import { placeDisks, type DiskPlace } from './disk-places.ts';
import type { DiskRestore } from './disk-restore.ts';
import { incompleteFailure, missingFailure, writeMissingList } from './missing-list.ts';
import { openDisks, type OpenedDisks } from './open-disks.ts';
import { RestoreProgress } from './restore-progress.ts';
import { requireStartable, restoredDefinition, startRestored } from './restored-guest.ts';
import type { RestoredDisk, RestoreReport, RestoreRequest } from './restore-report.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { ReadSession } from '../store-access/store-session.ts';

export interface RestoreDependencies extends GuestDependencies {
  pool: FramePool;
  /** New files to boot this guest: nothing has their names. */
  bootFilesOf: (guest: string) => BootFilePaths;
}

/**
 * What was restored. With `allowMissing` the result may be incomplete: `failure` (`store-damaged`) then says
 * what is missing, and the guest was not started.
 */
export interface RestoreResult {
  report: RestoreReport;
  failure: Failure | null;
}

/**
 * Restores the disks of a snapshot, and boots the guest on request. Throws Failure `snapshot-missing`,
 * `store-damaged` (without `allowMissing`: says what is missing, and no image has got its name), those of
 * `findTargetPlace`, `write-failed`, `verification-failed`, and what starting a guest throws.
 */
export async function restore(
  request: RestoreRequest,
  session: ReadSession,
  dependencies: RestoreDependencies,
  context: Context,
): Promise<RestoreResult> {
  const startedMs = performance.now();
  const { snapshot, folder } = await readChosenSnapshot(request.reference, session, context);
  warnOfJournal(snapshot, context);
  const places = await placeDisks(snapshot, request);
  const converted = await convertSnapshot(snapshot, places, request, dependencies, context);
  const earlier =
    request.start === null
      ? null
      : await requireStartable(
          snapshot,
          places,
          {
            ...request.start,
            converted: converted?.there.definition ?? null,
            coming: converted?.coming ?? null,
          },
          session.opened,
          dependencies,
          context,
        );
  await using targets = new Resources();
  const chosen = { folder, snapshot, places, inPlace: request.inPlace };
  const opened = await openDisks(chosen, session, dependencies.pool, targets, context);
  const { restores } = opened;
  await writeDisks(snapshot, opened, request.allowMissing, context);
  const fingerprints = await verifyDisks(restores, context);
  const disks = restores.map((one, index) => restoredDisk(one, fingerprints[index] ?? ''));
  const failure = await publishDisks(snapshot, restores, context);
  // Frees the images for the guest.
  await targets[Symbol.asyncDispose]();
  const started =
    request.start === null || failure !== null
      ? null
      : await startRestored(
          converted === null || request.start.conversion === undefined
            ? restoredDefinition(snapshot, places)
            : await adaptRestored(
                converted,
                request.start.conversion,
                dependencies.bootFilesOf(snapshot.definition.name),
                context,
              ),
          earlier,
          request.start.bootTimeoutMs,
          dependencies,
          context,
        );
  const { guest, id, consistency } = snapshot;
  const seconds = (performance.now() - startedMs) / 1000;
  return { report: { type: 'restored', guest, snapshot: id, consistency, disks, started, seconds }, failure };
}

/** Null if the guest keeps its hypervisor and its kernel, or is not started. */
async function convertSnapshot(
  snapshot: Snapshot,
  places: readonly DiskPlace[],
  { start }: RestoreRequest,
  dependencies: RestoreDependencies,
  context: Context,
): Promise<RestoredGuest | null> {
  const { definition } = snapshot;
  const conversion = start?.conversion ?? null;
  if (conversion === null || !isConversion(conversion, definition)) return null;
  const restored = restoredDefinition(snapshot, places);
  return convertRestored(definition, restored, conversion, dependencies, context);
}

function warnOfJournal({ guest, consistency }: Snapshot, { report }: Context): void {
  if (consistency !== 'after-a-crash') return;
  const message = `The disks of ${guest} are as after a loss of power: their journals are replayed when they are mounted.`;
  report({ type: 'warning', code: 'after-a-crash', message });
}

/** Writes what differs. Throws Failure `store-damaged` with all that is missing, unless that is allowed. */
async function writeDisks(
  snapshot: Snapshot,
  { restores, packs }: OpenedDisks,
  allowMissing: boolean,
  context: Context,
): Promise<void> {
  const totalBytes = restores.reduce((sum, { plainBytes }) => sum + plainBytes, 0);
  const progress = new RestoreProgress('restore', totalBytes, context, () => packs.readBytes);
  const onDone = (bytes: number) => progress.add(bytes);
  const refuseMissing = () => {
    const failure = missingFailure(snapshot, restores);
    if (failure !== null && !allowMissing) throw failure;
  };
  const work = async () => {
    let hasBegun = false;
    try {
      for (const one of restores) await one.survey(onDone);
      refuseMissing();
      hasBegun = true;
      for (const one of restores) await one.write(onDone);
      refuseMissing();
    } catch (error) {
      if (hasBegun) tellWhatIsLeft(restores, context);
      else for (const { target } of restores) await target.discard();
      throw error;
    }
  };
  const message = `restoring ${snapshot.guest} as it was at ${formatTimeWithZone(snapshot.createdAt)}`;
  await runStage(context, 'restore', message, work, () => `restored ${snapshot.guest}`);
}

function tellWhatIsLeft(restores: readonly DiskRestore[], { report }: Context): void {
  for (const { target } of restores) report({ type: 'warning', code: 'other', message: leftText(target) });
}

function leftText({ path, workingPath }: DiskRestore['target']): string {
  return path === workingPath
    ? `${path} is only partly restored: restore onto it again.`
    : `What was restored is kept in ${workingPath}: the same command goes on from there.`;
}

/** Returns the fingerprints. */
async function verifyDisks(restores: readonly DiskRestore[], context: Context): Promise<string[]> {
  const work = async () => {
    const readBackBytes = restores.reduce((sum, one) => sum + one.readBackBytes, 0);
    let totalBytes = readBackBytes;
    for (const one of restores) totalBytes += await one.sync();
    const progress = new RestoreProgress('verify', totalBytes, context);
    progress.add(readBackBytes);
    const fingerprints: string[] = [];
    for (const one of restores) fingerprints.push(await one.verify((bytes) => progress.add(bytes)));
    return fingerprints;
  };
  const telling = async () => {
    try {
      return await work();
    } catch (error) {
      if (context.signal.aborted) tellWhatIsLeft(restores, context);
      throw error;
    }
  };
  return runStage(context, 'verify', 'reading it back from the disk', telling, () => 'every chunk is right');
}

function restoredDisk(one: DiskRestore, fingerprint: string): RestoredDisk {
  const { disk, target, readFromStoreBytes, writtenBytes, unchangedBytes, missingRanges } = one;
  return {
    name: disk.name,
    target: target.path,
    sizeBytes: disk.sizeBytes,
    readFromStoreBytes,
    writtenBytes,
    unchangedBytes,
    fingerprint,
    readBack: target.readBackMethod,
    missing: missingRanges,
  };
}

/** Gives the images their names. Returns a Failure if they are incomplete. */
async function publishDisks(
  snapshot: Snapshot,
  restores: readonly DiskRestore[],
  { report }: Context,
): Promise<Failure | null> {
  const lists: string[] = [];
  for (const one of restores) {
    const { disk, target } = one;
    if (!(await target.setAttributes(disk))) {
      const message = `The owner of ${target.path} could not be kept (user ${disk.uid}, group ${disk.gid}).`;
      report({ type: 'warning', code: 'owner-not-kept', message });
    }
    const list = one.missingRanges.length === 0 ? null : await writeMissingList(snapshot, one);
    if (list !== null) lists.push(list);
  }
  for (const { target } of restores) await target.publish();
  return incompleteFailure(snapshot, restores, lists);
}
