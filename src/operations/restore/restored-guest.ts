import type { Context } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import { withImage } from '../../guest/disks/with-image.ts';
import { isKeepingDriver } from '../../guest/guest-driver.ts';
import { describeMove, fenceOf, type GuestRecord } from '../../guest/guest-record.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { OpenedStore } from '../../repository/keys/store-keys.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import type { StartAfterRestore } from './restore-report.ts';
import { startGuest } from '../guests/start-guest.ts';
import { refuseImageOnly } from '../guests/stored-guest.ts';
import type { DiskPlace } from './disk-places.ts';
import { putBackRecord } from '../../guest/put-back-record.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { forgetAgain, keepGuest, type KeptHere } from '../receive/keep-guest.ts';
import { requireArrivingStartable } from './arriving-guest.ts';

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
  start: Omit<StartAfterRestore, 'conversion'> & {
    converted?: GuestDefinition | null;
    coming?: BootFilePaths | null;
  },
  store: Pick<OpenedStore, 'key'>,
  dependencies: GuestDependencies,
  context: Context,
): Promise<GuestRecord | null> {
  const { definition, disks } = snapshot;
  // The name that the guest runs under. The store may have it under another.
  const guest = definition.name;
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
  const converted = start.converted ?? restoredDefinition(snapshot, places);
  const arriving = {
    definition: converted,
    paths: places.map(({ path }) => path),
    origin: { what: 'backup', ...snapshot },
    isTrusted: store.key !== null,
    coming: start.coming ?? null,
  } as const;
  return requireArrivingStartable(arriving, start, dependencies, context);
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
