import type { Context } from '../../events.ts';
import { asFailure, combineFailures, Failure } from '../../failure.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import { withImage } from '../../guest/disks/with-image.ts';
import { isKeepingDriver } from '../../guest/guest-driver.ts';
import { describeMove, fenceOf, type GuestRecord } from '../../guest/guest-record.ts';
import { findRunningGuest } from '../../guest/resolve-guest.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { OpenedStore } from '../../repository/keys/store-keys.ts';
import { fileIdentity } from '../../system/file-identity.ts';
import { thisMachine } from '../../system/machine.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import type { StartAfterRestore } from './restore-report.ts';
import { startGuest } from '../guests/start-guest.ts';
import { checkStoredBootable, refuseImageOnly } from '../guests/stored-guest.ts';
import type { DiskPlace } from './disk-places.ts';
import { putBackRecord } from '../../guest/put-back-record.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { forgetAgain, keepGuest, type KeptHere } from '../receive/keep-guest.ts';
import { requireOldHostGone } from './old-host.ts';

/** The snapshot's guest, with the new paths and formats of its restored disks. */
export function restoredDefinition(
  { definition, disks: stored }: Snapshot,
  places: readonly DiskPlace[],
): GuestDefinition {
  const placeOf = new Map(places.map((place) => [place.disk.name, place]));
  // The disks of a snapshot are in the order of its definition.
  const disks = definition.disks.map((disk, index) => {
    const place = placeOf.get(stored[index]?.name ?? '');
    return place === undefined ? disk : withImage(disk, place);
  });
  return { ...definition, disks };
}

/**
 * Returns this machine's record of the guest. Throws what would keep the restored guest from being started here: Failure
 * `guest-already-running`; `guest-fenced` unless the user confirms that the other machine is gone; `target-exists` for
 * another guest of that name; `guest-unsupported`; `usage` if not all of its disks are restored; `store-damaged` if its
 * definition has more disks than the snapshot (the others would be files of this machine); and those of the driver.
 */
export async function requireStartable(
  snapshot: Snapshot,
  places: readonly DiskPlace[],
  start: Omit<StartAfterRestore, 'conversion'> & { converted?: GuestDefinition | null },
  store: Pick<OpenedStore, 'key'>,
  dependencies: GuestDependencies,
  context: Context,
): Promise<GuestRecord | null> {
  const { definition, disks } = snapshot;
  // The name that the guest runs under. The store may have it under another.
  const guest = definition.name;
  const { drivers, records } = dependencies;
  if (places.length < disks.length)
    throw new Failure('usage', `--start needs all disks of ${guest}, and --disk restores only one.`);
  refuseImageOnly({ guest, definition }, 'Restore it without --start.');
  if (definition.disks.length !== disks.length)
    throw new Failure(
      'store-damaged',
      `The definition of ${guest} does not have the disks of the snapshot.`,
      {
        advice: 'Somebody has changed the snapshot. Restore it without --start.',
      },
    );
  const running = await findRunningGuest(guest, drivers, context);
  if (running !== null)
    throw new Failure('guest-already-running', `${guest} runs here already (${running.identity.label}).`, {
      advice: `Halt it first (vmferry halt ${guest}), or restore without --start.`,
    });
  const record = await records.read(guest);
  refuseWhileMoved(record);
  await requireOldHostGone({ ...snapshot, guest }, record, start, thisMachine(), context);
  // Checked first, because the restore may take hours.
  await records.requireWritable();
  await refuseOther(record, places);
  const restored = start.converted ?? restoredDefinition(snapshot, places);
  const [first, ...others] = await checkStoredBootable(restored, store, dependencies, context);
  if (first !== undefined) throw combineFailures([first, ...others]);
  return record;
}

/** The record of a different guest of the same name must not be replaced. */
async function refuseOther(record: GuestRecord | null, places: readonly DiskPlace[]): Promise<void> {
  if (record === null) return;
  const { name, disks } = record.definition;
  const restored = await Promise.all(places.map(({ path }) => fileIdentity(path)));
  for (const { path, readOnly } of disks) {
    // A read-only image may be shared with other guests.
    const image = readOnly ? null : await fileIdentity(path);
    if (image === null || restored.includes(image)) continue;
    throw new Failure('target-exists', `A guest ${name} is known here already, and has the image ${path}.`, {
      advice: `To replace that guest, restore onto its image (--to ${path} --in-place), or move that image away. To leave it alone, omit --start.`,
    });
  }
}

/**
 * Replaces this machine's record of the guest by the restored one, makes it known to its hypervisor if that keeps guests, and
 * boots it. If that fails, the hypervisor forgets it again, and an earlier fence is put back. Throws what
 * `startGuest` and `keepGuest` throw.
 * @param earlier the record when the user confirmed that no other machine runs it
 */
export async function startRestored(
  definition: GuestDefinition,
  earlier: GuestRecord | null,
  bootTimeoutMs: number,
  dependencies: GuestDependencies,
  context: Context,
): Promise<{ pid: number | null; consoleLog: string }> {
  const { records } = dependencies;
  const { name } = definition;
  const record = await records.read(name);
  const fence = record === null ? null : fenceOf(record);
  // The restore may have taken hours: the guest may have been moved meanwhile.
  if (fence !== null && record?.changedAt !== earlier?.changedAt) throw fence;
  await records.write({ definition, state: 'halted' });
  let kept: KeptHere | null = null;
  try {
    kept = await keepRestored(definition, record, dependencies, context);
    const { pid, consoleLog } = await startGuest({ guest: name, bootTimeoutMs }, dependencies, context);
    return { pid, consoleLog };
  } catch (error) {
    // It may run.
    if (asFailure(error).code === 'outcome-unknown') throw error;
    await forgetAgain(kept, context);
    if (record !== null && fence !== null) {
      const message = `The disks of ${name} are restored, but ${name} did not start. It still counts as ${describeMove(record)}: to try again, add --in-place to the same command.`;
      context.report({ type: 'warning', code: 'other', message });
      await putBackRecord(records, record, error);
    }
    throw error;
  }
}

/** Null if nothing changes: its hypervisor keeps no guests, or has this one already. */
async function keepRestored(
  definition: GuestDefinition,
  record: GuestRecord | null,
  dependencies: GuestDependencies,
  context: Context,
): Promise<KeptHere | null> {
  const driver = requireDriver(dependencies.drivers, definition.driver);
  const isKnown =
    isKeepingDriver(driver) &&
    record?.fence === undefined &&
    (await driver.listKept(context)).some((kept) => kept.definition.name === definition.name);
  if (isKnown) return null;
  context.signal.throwIfAborted();
  // What was begun is completed, or undone.
  const patient = { ...context, signal: new AbortController().signal };
  return keepGuest(definition, record, dependencies, patient);
}
