import { realpathSync } from 'node:fs';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import type { DiskDefinition, GuestDefinition } from '../guest/definition.ts';
import {
  isFreezingDriver,
  type FreezingDriver,
  type FrozenGuest,
  type RunningGuest,
} from '../guest/guest-driver.ts';
import { requireDriver } from '../guest/require-driver.ts';
import type { ResolvedGuest } from '../guest/resolve-guest.ts';
import { cloneImage, refuseUncloneable, type FileBeside } from '../image/clones/clone.ts';
import type { ImageFormat } from '../image/formats/image-format.ts';
import { replayJournals } from '../image/clones/journal-replay.ts';
import { Resources } from '../pipeline/resources.ts';
import type { GuestDependencies } from '../guest/guest-dependencies.ts';
import { changedSince, stampImages } from '../image/image-stamp.ts';
import { runStage } from '../pipeline/run-stage.ts';
import { describeDisk, refuseUsed, removeLeftClones, watchForChanges } from './still-disks.ts';
import type { StillGuest } from './still-guest.ts';

/** If the guest has not written out its memory in this time, its backup is as after a crash. */
export const SYNC_LIMIT_MS = 60_000;

/** Stops the guest only while its images are cloned. The clones are read. */
export async function holdByCloning(
  { definition }: ResolvedGuest,
  running: RunningGuest,
  { drivers }: Pick<GuestDependencies, 'drivers'>,
  context: Context,
): Promise<StillGuest> {
  const driver = await prepareToFreeze(running, definition, drivers, context);
  const toClone: GuestDefinition = { ...definition, disks: disksToClone(definition) };
  const inPlace = definition.disks.filter((disk) => !toClone.disks.includes(disk));
  for (const { path } of toClone.disks) refuseUncloneable(path);
  const refuseChanged = await watchForChanges({ ...definition, disks: inPlace }, running, drivers);
  const clones = new Resources();
  try {
    let stoodStillMs = 0;
    const { disks, frozen } = await runStage(
      context,
      'freeze',
      `freezing ${definition.name}`,
      async () => {
        await using stopped = await driver.freeze(running, { syncTimeoutMs: SYNC_LIMIT_MS }, context);
        const taken = await cloneAll(toClone, clones);
        const described = await Promise.all(
          definition.disks.map((disk) =>
            describeDisk(disk, { isInUse: true, clone: taken.get(disk.path) ?? null }),
          ),
        );
        stoodStillMs = await stopped.letGo();
        return { disks: described, frozen: stopped };
      },
      () => `${definition.name} goes on; it was stopped for ${Math.ceil(stoodStillMs)} ms`,
    );
    const consistency = consistencyOf(definition.name, frozen, context);
    for (const { clone, format } of disks) if (clone !== null) await replay(clone, format, context);
    return {
      guestWaits: false,
      consistency,
      createdAt: frozen.stoppedAt,
      disks,
      refuseChanged,
      [Symbol.asyncDispose]: () => clones[Symbol.asyncDispose](),
    };
  } catch (error) {
    await clones[Symbol.asyncDispose]();
    throw error;
  }
}

/** Clones all disks at one moment: nothing is written between the first clone and the last. */
async function cloneAll(definition: GuestDefinition, clones: Resources): Promise<Map<string, FileBeside>> {
  const before = await stampImages(definition.disks);
  const cloneOf = new Map(definition.disks.map(({ path }) => [path, clones.hold(cloneImage(path))]));
  if ((await changedSince(before)).length > 0)
    throw new Failure(
      'image-in-use',
      `Something wrote to the images of ${definition.name} while it was stopped.`,
      {
        advice: 'Another program writes to them, or has let the guest go on. Stop that, and try again.',
      },
    );
  return cloneOf;
}

/** A disk that the guest only reads needs no clone, unless the guest has the same image as a disk that it writes to. */
function disksToClone({ disks }: GuestDefinition): DiskDefinition[] {
  const written = disks.filter(({ readOnly }) => !readOnly).map(({ path }) => realpathSync(path));
  return disks.filter(({ path }) => written.includes(realpathSync(path)));
}

/** Stops the guest until the result is disposed of. Its own images are read meanwhile. */
export async function holdByPausing(
  { definition }: ResolvedGuest,
  running: RunningGuest,
  { drivers }: Pick<GuestDependencies, 'drivers'>,
  context: Context,
): Promise<StillGuest> {
  const driver = await prepareToFreeze(running, definition, drivers, context);
  const frozen = await runStage(
    context,
    'freeze',
    `freezing ${definition.name}`,
    () => driver.freeze(running, { syncTimeoutMs: SYNC_LIMIT_MS }, context),
    () => `${definition.name} is stopped while it is read`,
  );
  try {
    const refuseChanged = await watchForChanges(definition, running, drivers);
    const disks = await Promise.all(definition.disks.map((disk) => describeDisk(disk, { isInUse: true })));
    return {
      guestWaits: true,
      consistency: consistencyOf(definition.name, frozen, context),
      createdAt: frozen.stoppedAt,
      disks,
      refuseChanged,
      [Symbol.asyncDispose]: () => frozen[Symbol.asyncDispose](),
    };
  } catch (error) {
    await frozen[Symbol.asyncDispose]();
    throw error;
  }
}

/** The guest's driver, when nothing else uses its images and leftover clones of them are removed. */
async function prepareToFreeze(
  running: RunningGuest,
  definition: GuestDefinition,
  drivers: GuestDependencies['drivers'],
  context: Context,
): Promise<FreezingDriver> {
  const driver = requireFreezing(drivers, running);
  await refuseUsed(definition, running, drivers);
  for (const { path } of definition.disks) removeLeftClones(path, context);
  return driver;
}

function requireFreezing(
  drivers: GuestDependencies['drivers'],
  { definition }: RunningGuest,
): FreezingDriver {
  const driver = requireDriver(drivers, definition.driver);
  if (isFreezingDriver(driver)) return driver;
  throw new Failure(
    'guest-unsupported',
    `${definition.name} runs under ${definition.driver}, whose guests cannot be frozen.`,
    { advice: 'Use --halt: the guest is then halted, backed up and started again.' },
  );
}

export function consistencyOf(
  name: string,
  { notSynced }: Pick<FrozenGuest, 'notSynced'>,
  { report }: Context,
): 'frozen' | 'after-a-crash' {
  if (notSynced === null) return 'frozen';
  const message = `${name} did not write out its memory (${notSynced}): what is read is as after a crash.`;
  report({ type: 'warning', code: 'after-a-crash', message });
  return 'after-a-crash';
}

async function replay(clone: FileBeside, format: ImageFormat, { signal, report }: Context): Promise<void> {
  const problems =
    format === 'raw'
      ? await replayJournals(clone, signal)
      : [`vmferry does not do that in an image of the format ${format}`];
  for (const problem of problems) {
    const message = `All allocated blocks of a file system on ${clone.image} are read: its journal must be replayed, and ${problem}.`;
    report({ type: 'warning', code: 'file-system-not-clean', message });
  }
}
