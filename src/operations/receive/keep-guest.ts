import type { Context } from '../../events.ts';
import { asFailure } from '../../failure.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import { isKeepingDriver, type KeepingDriver } from '../../guest/guest-driver.ts';
import type { GuestRecord } from '../../guest/guest-record.ts';
import { lowerFence, raiseFence } from '../../guest/hypervisor-fence.ts';
import type { GuestSources } from '../../guest/known-definitions.ts';
import { requireDriver } from '../../guest/require-driver.ts';

/** What the hypervisors of this machine know of a guest that has just come, by a move or from a backup. */
export interface KeptHere {
  /** Puts back what they knew before. */
  undo(): Promise<void>;
}

/**
 * Makes the guest known to its hypervisor, if that keeps guests: it can then be started without vmferry, and starts with the machine if
 * its definition says so. A guest that was moved away from here before, and now comes back, is still known in its former
 * shape, and fenced: that is forgotten first.
 */
export async function keepGuest(
  guest: GuestDefinition,
  earlier: GuestRecord | null,
  sources: GuestSources,
  context: Context,
): Promise<KeptHere> {
  const undoing: (() => Promise<void>)[] = [];
  const undo = async () => {
    for (const work of undoing.splice(0).toReversed()) await work();
  };
  try {
    if (earlier?.fence !== undefined) {
      const former = requireDriver(sources.drivers, earlier.definition.driver);
      await lowerFence(earlier, sources, context);
      undoing.push(() => raiseFence(earlier, sources, context));
      if (isKeepingDriver(former)) {
        await former.drop(earlier.definition, context);
        undoing.push(() => former.keep(earlier.definition, context));
      }
    }
    const driver = requireDriver(sources.drivers, guest.driver);
    if (isKeepingDriver(driver)) {
      await driver.keep(guest, context);
      undoing.push(() => dropAgain(guest, driver, context));
    }
  } catch (error) {
    await undo();
    throw error;
  }
  return { undo };
}

/** A guest that its hypervisor does not forget at least does not start with the machine, without its disks. */
async function dropAgain(guest: GuestDefinition, driver: KeepingDriver, context: Context): Promise<void> {
  try {
    await driver.drop(guest, context);
  } catch (error) {
    if (guest.autostart === true) await driver.setAutostart(guest, false, context);
    throw error;
  }
}

/** After a failed boot. A definition that stays is told of: the hypervisor could start the guest without its disks. */
export async function forgetAgain(kept: KeptHere | null, { report }: Pick<Context, 'report'>): Promise<void> {
  await kept?.undo().catch((error: unknown) => {
    const message = `What the hypervisor knows of the guest could not be put back: ${asFailure(error).message}`;
    report({ type: 'warning', code: 'clean-up-incomplete', message });
  });
}
