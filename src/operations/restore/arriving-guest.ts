import type { Context } from '../../events.ts';
import { combineFailures, Failure } from '../../failure.ts';
import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import type { GuestRecord } from '../../guest/guest-record.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import { findRunningGuest } from '../../guest/resolve-guest.ts';
import { fileIdentity } from '../../system/file-identity.ts';
import { thisMachine } from '../../system/machine.ts';
import { checkForeignBootable } from '../guests/stored-guest.ts';
import { requireOldHostGone, type GuestOrigin } from './old-host.ts';
import type { StartAfterRestore } from './restore-report.ts';

/** A guest whose disks are about to be written here, and which is to be started then. */
export interface ArrivingGuest {
  /** As it is to run here. */
  definition: GuestDefinition;
  /** Where its disks are to be. */
  paths: readonly string[];
  /** Where its disks come from; null if that is not known. */
  origin: GuestOrigin | null;
  /** Whether the definition comes from a person or from an encrypted store: then it may name any program as the kernel. */
  isTrusted: boolean;
  /** Files that its definition names, and that are made from its disks; null if there are none. */
  coming: BootFilePaths | null;
}

/**
 * Returns this machine's record of the guest. Throws what would keep it from being started here: Failure
 * `guest-already-running`; `guest-fenced` unless the user confirms that the other machine is gone; `target-exists` for
 * another guest of that name; and those of the driver.
 */
export async function requireArrivingStartable(
  { definition, paths, origin, isTrusted, coming }: ArrivingGuest,
  start: Pick<StartAfterRestore, 'oldHostIsGone' | 'ask'>,
  dependencies: GuestDependencies,
  context: Context,
): Promise<GuestRecord | null> {
  const { name } = definition;
  const { drivers, records } = dependencies;
  const running = await findRunningGuest(name, drivers, context);
  if (running !== null)
    throw new Failure('guest-already-running', `${name} runs here already (${running.identity.label}).`, {
      advice: `Halt it first (vmferry halt ${name}), or do the same without --start.`,
    });
  const record = await records.read(name);
  refuseWhileMoved(record);
  await requireOldHostGone(name, origin, record, start, thisMachine(), context);
  // Checked first, because writing the disks may take hours.
  await records.requireWritable();
  await refuseOther(record, paths);
  const files = Object.values(coming ?? {});
  const [first, ...others] = await checkForeignBootable(definition, isTrusted, dependencies, context, files);
  if (first !== undefined) throw combineFailures([first, ...others]);
  return record;
}

/** The record of a different guest of the same name must not be replaced. */
async function refuseOther(record: GuestRecord | null, paths: readonly string[]): Promise<void> {
  if (record === null) return;
  const { name, disks } = record.definition;
  const written = await Promise.all(paths.map(fileIdentity));
  for (const { path, readOnly } of disks) {
    // A read-only image may be shared with other guests.
    const image = readOnly ? null : await fileIdentity(path);
    if (image === null || written.includes(image)) continue;
    throw new Failure('target-exists', `A guest ${name} is known here already, and has the image ${path}.`, {
      advice: `To replace that guest, restore onto its image (--to ${path} --in-place), or move that image away. To leave it alone, omit --start.`,
    });
  }
}
