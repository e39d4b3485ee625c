import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import type { GuestDependencies } from '../guest/guest-dependencies.ts';
import {
  isViewingDriver,
  type RecordingRequest,
  type RunningGuest,
  type ViewedGuest,
  type ViewingDriver,
} from '../guest/guest-driver.ts';
import { requireDriver } from '../guest/require-driver.ts';
import { runStage } from '../pipeline/run-stage.ts';
import { describeDisk, refuseUsed } from './still-disks.ts';
import { consistencyOf, SYNC_LIMIT_MS } from './still-frozen.ts';
import type { HoldOptions, StillGuest } from './still-guest.ts';

/**
 * Reads the guest's disks as its hypervisor shows them, as they were at one instant. The guest runs on meanwhile. Null when
 * its hypervisor has no such views, or, with a notice, when this guest's disks cannot be viewed.
 */
export async function holdByViewing(
  running: RunningGuest,
  { recording = null }: Pick<HoldOptions, 'recording'>,
  { drivers }: Pick<GuestDependencies, 'drivers'>,
  context: Context,
): Promise<StillGuest | null> {
  const { definition } = running;
  const driver = requireDriver(drivers, definition.driver);
  if (!isViewingDriver(driver)) return null;
  await refuseUsed(definition, running, drivers);
  const viewed = await viewOrNull(driver, running, recording, context);
  if (viewed === null) return null;
  try {
    const disks = await Promise.all(
      definition.disks.map(async (disk, index) => {
        const path = viewed.views[index] ?? disk.path;
        const { format, ...described } = await describeDisk(disk, { isInUse: true });
        return {
          ...described,
          path,
          format: 'raw' as const,
          ...(format !== 'raw' && { imageFormat: format }),
        };
      }),
    );
    return {
      guestWaits: false,
      consistency: consistencyOf(definition.name, viewed, context),
      createdAt: viewed.takenAt,
      disks,
      ...(viewed.recording !== null && { recording: viewed.recording }),
      // A view does not change. One that breaks cannot be read any more.
      refuseChanged: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => viewed[Symbol.asyncDispose](),
    };
  } catch (error) {
    await viewed[Symbol.asyncDispose]();
    throw error;
  }
}

async function viewOrNull(
  driver: ViewingDriver,
  running: RunningGuest,
  recording: RecordingRequest | null,
  context: Context,
): Promise<ViewedGuest | null> {
  const { name } = running.definition;
  try {
    return await runStage(
      context,
      'freeze',
      `freezing ${name}`,
      () => driver.view(running, { syncTimeoutMs: SYNC_LIMIT_MS, recording }, context),
      ({ stoppedMs }) => `${name} goes on; it was stopped for ${Math.ceil(stoppedMs)} ms`,
    );
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'guest-unsupported') throw error;
    context.report({ type: 'notice', message: error.message });
    return null;
  }
}
