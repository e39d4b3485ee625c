import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../../events.ts';
import { combineFailures, Failure } from '../../failure.ts';
import { bootIsolated } from '../../guest/boot-isolated.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import { withImage } from '../../guest/disks/with-image.ts';
import { targetFormatOf } from '../../image/target/target-format.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import type { GuestFolder } from '../../repository/guest-folder.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { SnapshotReference } from '../store-access/choose-snapshot.ts';
import { restore, type RestoreDependencies } from '../restore/restore.ts';
import { readChosenSnapshot } from '../restore/chosen-snapshot.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { StoreSession } from '../store-access/store-session.ts';
import { checkStoredBootable, refuseImageOnly } from '../guests/stored-guest.ts';
import { readCheckRecord, writeCheckRecord } from '../store-access/stored-check-records.ts';
import type { BootVerdict } from './verify-report.ts';

export interface BootRequest {
  reference: SnapshotReference;
  /** Where the copy is made: a directory with room for all of the guest's disks. */
  scratchDirectory: string;
  bootTimeoutMs: number;
}

export interface BootDependencies extends RestoreDependencies {
  now: () => Date;
  /** Random hex digits. */
  randomHex: (digits: number) => string;
}

/**
 * Restores a snapshot into a directory of its own, boots this copy in isolation (`GuestDriver.isolate`), waits until it is
 * up, halts it, removes everything, and records in the store that the snapshot booted. Throws Failure `guest-unsupported`
 * for a snapshot of an image only, `boot-failed`, what keeps this machine from booting it, and what `restore` throws.
 */
export async function bootSnapshot(
  request: BootRequest,
  session: StoreSession,
  dependencies: BootDependencies,
  context: Context,
): Promise<BootVerdict> {
  const { snapshot } = await readChosenSnapshot(request.reference, session, context);
  const { guest, id } = snapshot;
  const definition = inRestoredFormats(snapshot.definition);
  refuseImageOnly(snapshot, 'Verify it with --read-data.');
  const driver = requireDriver(dependencies.drivers, definition.driver);
  const name = `vmferry-verify-${dependencies.randomHex(8)}`;
  // Checked before anything is restored.
  const planned = await driver.isolate(definition, { name, copies: [], emptyDirectory: '/' });
  const [first, ...others] = await checkStoredBootable(planned, session.opened, dependencies, context);
  if (first !== undefined) throw combineFailures([first, ...others]);
  const scratch = await makeScratch(request.scratchDirectory);
  let bootSeconds: number;
  try {
    const copies = await restoreInto(scratch, snapshot, session, dependencies, context);
    const emptyDirectory = join(scratch, 'empty');
    await mkdir(emptyDirectory);
    const isolated = await driver.isolate(definition, { name, copies, emptyDirectory });
    bootSeconds = await bootOnce(snapshot, isolated, { driver, scratch, ...request }, context);
  } finally {
    await rm(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
  await remember(session.folder(guest), id, dependencies.now(), context.signal);
  return { guest, snapshot: id, bootSeconds };
}

/** The formats that `restore` writes unless it is told another one. */
function inRestoredFormats({ disks, ...definition }: GuestDefinition): GuestDefinition {
  const restored = disks.map((disk) =>
    disk.format === undefined
      ? disk
      : withImage(disk, { path: disk.path, format: targetFormatOf(disk.format, null) }),
  );
  return { ...definition, disks: restored };
}

async function makeScratch(directory: string): Promise<string> {
  try {
    return await mkdtemp(join(directory, 'vmferry-verify-'));
  } catch (cause) {
    throw new Failure('target-not-writable', `No directory can be made in ${directory}.`, {
      advice: 'Choose one with room for the guest’s disks: --scratch DIR',
      cause,
    });
  }
}

/** Gives the copies' paths, in the order of the snapshot's disks. `restore` checks the free space before it writes. */
async function restoreInto(
  scratch: string,
  { guest, id, disks }: Snapshot,
  session: StoreSession,
  dependencies: RestoreDependencies,
  context: Context,
): Promise<(string | undefined)[]> {
  const { report } = await restore(
    {
      reference: { guest, when: id },
      to: `${scratch}/`,
      disk: null,
      inPlace: false,
      allowMissing: false,
      start: null,
    },
    session,
    dependencies,
    context,
  );
  const copies = new Map(report.disks.map(({ name, target }) => [name, target]));
  return disks.map(({ name }) => copies.get(name));
}

interface Booting extends BootRequest {
  driver: GuestDriver;
  scratch: string;
}

/** Gives the seconds until it was up. */
async function bootOnce(
  { guest, id }: Snapshot,
  isolated: GuestDefinition,
  { driver, scratch, bootTimeoutMs }: Booting,
  context: Context,
): Promise<number> {
  const work = () =>
    bootIsolated(driver, isolated, { scratch, bootTimeoutMs }, context).catch((error: unknown) => {
      if (!(error instanceof Failure) || error.code !== 'start-failed') throw error;
      throw new Failure('boot-failed', `The snapshot ${id} of ${guest} does not boot: ${error.message}`, {
        advice: 'To examine the snapshot, restore it elsewhere. To try an older one: --boot GUEST@WHEN',
        cause: error,
      });
    });
  const message = `booting a copy of ${guest}, with no network`;
  return runStage(context, 'boot', message, work, (seconds) => `the copy was up in ${seconds.toFixed(1)} s`);
}

async function remember(folder: GuestFolder, id: string, now: Date, signal: AbortSignal): Promise<void> {
  const { record, files } = await readCheckRecord(folder, signal);
  const bootedMs = Math.floor(now.getTime() / 1000) * 1000;
  // It was restored, so all of its data is there.
  const check = record.snapshots.get(id) ?? { checkedMs: bootedMs, state: 'whole', readMs: null };
  record.snapshots.set(id, { ...check, bootedMs });
  await writeCheckRecord(folder, record, files, signal);
}
