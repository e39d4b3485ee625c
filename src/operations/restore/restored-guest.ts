import type { Context } from '../../events.ts';
import { combineFailures, Failure } from '../../failure.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import { fenceOf } from '../../guest/guest-record.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { findRunningGuest } from '../../guest/resolve-guest.ts';
import type { Snapshot } from '../../repository/snapshot.ts';
import type { GuestDependencies } from '../guests.ts';
import { startGuest } from '../start-guest.ts';
import type { DiskPlace } from './disk-places.ts';

/** The snapshot's guest, with the disks that are restored at their new places. */
export function restoredDefinition(
  { definition, disks: stored }: Snapshot,
  places: readonly DiskPlace[],
): GuestDefinition {
  const pathOf = new Map(places.map(({ disk, path }) => [disk.name, path]));
  // A snapshot has the disks of its definition in their order.
  const disks = definition.disks.map((disk, index) => ({
    ...disk,
    path: pathOf.get(stored[index]?.name ?? '') ?? disk.path,
  }));
  return { ...definition, disks };
}

/**
 * Throws all that keeps the guest from being started here once it is restored: Failure `guest-already-running`,
 * `guest-fenced`, `guest-unsupported`, `usage` where not all of its disks are restored, and the driver's.
 */
export async function requireStartable(
  snapshot: Snapshot,
  places: readonly DiskPlace[],
  { drivers, records }: GuestDependencies,
  context: Context,
): Promise<void> {
  const { guest, definition, disks } = snapshot;
  if (places.length < disks.length)
    throw new Failure('usage', `--start needs all disks of ${guest}, and --disk restores only one.`);
  if (definition.driver === 'offline')
    throw new Failure('guest-unsupported', `Nothing ran ${guest}: the snapshot is of an image alone.`, {
      advice: 'Restore it without --start.',
    });
  const running = await findRunningGuest(guest, drivers, context);
  if (running !== null)
    throw new Failure('guest-already-running', `${guest} runs here already, pid ${running.pid}.`, {
      advice: `Halt it first (vmferry halt ${guest}), or restore without --start.`,
    });
  await refuseFenced(guest, records);
  const restored = restoredDefinition(snapshot, places);
  const [first, ...others] = await requireDriver(drivers, definition.driver).checkBootable(restored, context);
  if (first !== undefined) throw combineFailures([first, ...others]);
}

async function refuseFenced(guest: string, records: GuestDependencies['records']): Promise<void> {
  const record = await records.read(guest);
  const fence = record === null ? null : fenceOf(record);
  if (fence !== null) throw fence;
}

/** Remembers the restored guest in place of what was known of it, and boots it. Throws what `startGuest` throws. */
export async function startRestored(
  definition: GuestDefinition,
  bootTimeoutMs: number,
  dependencies: GuestDependencies,
  context: Context,
): Promise<{ pid: number; consoleLog: string }> {
  // The restore may have taken hours.
  await refuseFenced(definition.name, dependencies.records);
  await dependencies.records.write({ definition, state: 'halted' });
  const { pid, consoleLog } = await startGuest(
    { guest: definition.name, bootTimeoutMs },
    dependencies,
    context,
  );
  return { pid, consoleLog };
}
