import type { Context } from '../../events.ts';
import { asFailure, combineFailures, Failure } from '../../failure.ts';
import type { Adaptation } from '../../guest/adaptation/plan.ts';
import { isImageOnly, parseGuestDefinition, type GuestDefinition } from '../../guest/definition.ts';
import type { GuestSystem } from '../../guest/inspection/guest-system.ts';
import { isOfThisMachine, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import { Resources } from '../../pipeline/resources.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import type { DeviceThere, MigrateRequest } from './migration-report.ts';
import { tellOfEarlierStates } from '../../guest/preflight/earlier-states.ts';
import { archiveToMove, findGuestToMove } from './find-guest-to-move.ts';
import { refuseArchivedElsewhere } from './archived-guest.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import { lookInside, planFixups } from './conversion/adaptation.ts';
import { conversionAccount } from './conversion/account.ts';
import { findWantedKernel, keepGuestKernel } from './conversion/guest-kernel-choice.ts';
import { guestThere, seenKernel, tellOfConversion, type GuestThere } from './conversion/guest-there.ts';
import { kernelNeeds } from './conversion/kernel-needs.ts';
import { Line } from './line/line.ts';
import { ownerClaim } from './line/owner-claim.ts';
import { placeDisks, type DiskPlaces, type PlacedDisk } from './place-disks.ts';
import { lookAtDisks, type Attempt } from './preflight-disks.ts';
import { tellOfDevice } from './target-devices.ts';
import { wirePlace } from './passes/wire-place.ts';
import { runningKernelId } from '../../system/machine.ts';
import type { RemoteReceiver } from '../../wire/remote-receiver.ts';
import { fromWireFailure } from '../../wire/messages.ts';
import { relocate, type SourceDisk } from '../../transfer/source-disk.ts';
import { runStage } from '../../pipeline/run-stage.ts';

/** A move that passed the preflight. */
export interface Move extends AsyncDisposable {
  request: MigrateRequest;
  dependencies: MigrateDependencies;
  guest: ResolvedGuest;
  /** Absolute, on the new hardware; null if every disk has a place of its own. */
  directory: string | null;
  /** The disks that move, in the guest’s order. */
  places: readonly PlacedDisk[];
  /** The block devices that some of them go onto. */
  devices: readonly DeviceThere[];
  /** The guest as the new hardware is to boot it. */
  there: GuestThere;
  /** What is in it, as it was before the halt; null if it does not matter, or if nobody could look. */
  system: GuestSystem | null;
  /** What it needs there, as far as it can be known before the halt; null if it stays as it is. */
  fixups: Adaptation | null;
  line: Line;
  /** As they were before the halt. */
  disks: readonly SourceDisk[];
}

/**
 * Finds out whether the move can succeed, on both sides, without changing anything on either. Throws one Failure with
 * everything that is wrong.
 */
export async function preflight(
  request: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<Move> {
  return runStage(
    context,
    'preflight',
    `looking at ${request.guest} and at ${request.target.destination}`,
    () => look(request, dependencies, context),
    ({ directory }) =>
      `${request.guest} can move to ${request.target.destination}${directory === null ? '' : `:${directory}`}`,
  );
}

async function look(
  asked: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<Move> {
  await using cleanup = new Resources();
  const problemsHere: Failure[] = [];
  const problemsThere: Failure[] = [];
  const attempt = attemptNoting(problemsHere, context.signal);
  const attemptThere = attemptNoting(problemsThere, context.signal);

  // The other side takes a while to start; this side is checked meanwhile.
  const line = await attemptThere(() => Line.open(asked, dependencies.connect, context));
  if (line !== null) cleanup.hold(line);
  const archive = await archiveToMove(asked, dependencies, context);
  if (archive !== null) {
    await attemptThere(() => line && line.ready(context.signal));
    const [problem, ...more] = problemsThere;
    if (problem !== undefined) throw combineFailures([problem, ...more]);
  }
  const guest = await attempt(() => findGuestToMove(asked, archive, dependencies, cleanup, context));
  const request = guest === null ? asked : withGuestKernel(asked, guest.definition, dependencies);
  await attempt(
    () => guest && refuseArchivedElsewhere(guest, request.oldHostIsGone ?? false, dependencies, context),
  );
  await attempt(() => refuseWhileMoved(guest?.record ?? null));
  await attempt(() =>
    guest !== null && isOfThisMachine(guest) ? dependencies.records.requireWritable() : null,
  );
  await attempt(() => guest && refuseHoldOfHalted(guest, request));
  if (guest !== null) tellOfEarlierStates(guest, context);
  const disks =
    guest === null ? [] : await lookAtDisks(guest, request, dependencies.drivers, attempt, cleanup, context);
  await attemptThere(() => line && line.ready(context.signal));
  const placed = await attempt(
    () => guest && placeDisks(guest.definition, request, guest.archived?.definition.disks),
  );
  const planned = await attempt(() => guest && placed && planGuest(guest, placed, request, context));
  // A disk that stays behind has no place.
  const moving = (planned?.places ?? []).map(
    ({ disk }) => disks[planned?.guest.definition.disks.indexOf(disk) ?? -1] ?? null,
  );
  const isThere = line !== null && problemsThere.length === 0;
  const answer =
    isThere && planned !== null
      ? await attemptThere(() => checkRemote(line.receiver, { request, disks: moving, ...planned }, context))
      : null;
  const [firstProblem, ...others] = [...problemsHere, ...problemsThere];
  if (firstProblem !== undefined) throw combineFailures([firstProblem, ...others]);
  if (guest === null || line === null || planned === null || answer === null)
    throw new Failure('internal', 'There is nothing to move.');
  tellOfFormats(planned.places, context);
  const resources = cleanup.release();
  return {
    request,
    dependencies,
    ...planned,
    ...answer,
    line,
    disks: moving.filter((disk) => disk !== null),
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

function withGuestKernel(
  request: MigrateRequest,
  definition: GuestDefinition,
  { bootFilesOf }: MigrateDependencies,
): MigrateRequest {
  const made = bootFilesOf(definition.name);
  return { ...request, conversion: keepGuestKernel(request.conversion, definition, made) };
}

/** It would move at once, and not at the time that was chosen. */
function refuseHoldOfHalted({ definition, running }: ResolvedGuest, { hold }: MigrateRequest): void {
  if (hold === null || running !== null) return;
  const { name } = definition;
  throw new Failure('guest-not-running', `${name} does not run, so its copy cannot be kept close to it.`, {
    advice: 'Start it, or leave out --hold and --cutover: it is then moved now.',
  });
}

function tellOfFormats(places: readonly PlacedDisk[], { report }: Context): void {
  for (const { disk, path, format } of places)
    if (format !== (disk.format ?? 'raw'))
      report({
        type: 'notice',
        message: `${disk.path} (${disk.format ?? 'raw'}) becomes ${path} (${format}).`,
      });
}

/** Notes failures, so that the other checks still run. */
function attemptNoting(problems: Failure[], signal: AbortSignal): Attempt {
  return async (work) => {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      problems.push(...asFailure(error).all);
      return null;
    }
  };
}

interface PlannedGuest extends DiskPlaces {
  guest: ResolvedGuest;
  there: GuestThere;
  system: GuestSystem | null;
}

/** Converts the guest for the new hardware. Its disks that stay behind have no place. */
async function planGuest(
  guest: ResolvedGuest,
  { directory, places: all }: DiskPlaces,
  { conversion }: MigrateRequest,
  context: Context,
): Promise<PlannedGuest> {
  const { definition, running } = guest;
  const system = await lookInside(definition, conversion, { isInUse: running !== null }, context);
  const isInUse = running !== null;
  const guestKernel = await findWantedKernel(definition, conversion, { isInUse }, context);
  const there = guestThere(definition, relocate(definition, all), conversion, system, guestKernel);
  const places = all.filter((_, index) => there.newDiskIndexes[index] !== null);
  return { guest, directory, places, there, system };
}

interface RemoteCheck extends PlannedGuest {
  request: MigrateRequest;
  /** In the places' order. */
  disks: readonly (SourceDisk | null)[];
}

function kernelToCome(there: GuestThere): { guestKernel?: { hasInitrd: boolean } } {
  const seen = seenKernel(there);
  return seen === null ? {} : { guestKernel: { hasInitrd: seen.initrds.length > 0 } };
}

/** Returns what the new hardware says of the devices and of the guest. */
async function checkRemote(
  receiver: RemoteReceiver,
  { request, guest, directory, places, disks, there, system }: RemoteCheck,
  context: Context,
): Promise<Pick<Move, 'devices' | 'there' | 'fixups'>> {
  const { definition } = guest;
  const sourceKernel = runningKernelId();
  const {
    problems,
    warnings,
    devices,
    guest: completed,
    hypervisors = [],
  } = await receiver.request(
    {
      type: 'check',
      directory,
      disks: places.map((place, index) => {
        // If an image cannot be opened here, only its name is known.
        const { source, readBytes } = disks[index] ?? { source: { sizeBytes: 0 }, readBytes: 0 };
        return { ...wirePlace(place), sizeBytes: source.sizeBytes, neededBytes: readBytes };
      }),
      ...(request.overwrite && { overwrite: true }),
      claim: ownerClaim(definition),
      guest: isImageOnly(definition) ? null : there.definition,
      ...(sourceKernel !== null && { sourceKernel }),
      ...(guest.archived !== undefined && { isForeign: true as const }),
      needs: kernelNeeds(disks, system),
      ...kernelToCome(there),
      ...(request.besides !== undefined && { besides: request.besides }),
    },
    'checked',
    context.signal,
  );
  for (const warning of warnings) context.report({ type: 'warning', ...warning });
  const [first, ...others] = problems.map((problem) =>
    withOtherHypervisors(fromWireFailure(problem, receiver.machine), hypervisors),
  );
  if (first !== undefined) throw combineFailures([first, ...others]);
  const ready = completed === undefined ? there : { ...there, definition: parseGuestDefinition(completed) };
  const fixups = planFixups(definition, ready, request.conversion, system);
  if (!request.dryRun) tellOfConversion(conversionAccount(ready, fixups), context.report);
  for (const message of fixups?.warnings ?? [])
    context.report({ type: 'warning', code: 'guest-not-adapted', message });
  for (const device of devices ?? []) {
    const index = places.findIndex(({ path }) => path === device.path);
    tellOfDevice(device, disks[index]?.source.sizeBytes ?? 0, receiver.machine.name, context);
  }
  return { devices: devices ?? [], there: ready, fixups };
}

/** A guest whose hypervisor is missing there can be converted. */
function withOtherHypervisors(failure: Failure, hypervisors: readonly string[]): Failure {
  if (failure.code !== 'hypervisor-missing' || hypervisors.length === 0) return failure;
  const options = hypervisors.map((kind) => `--as ${kind}`).join(' or ');
  const advice = [failure.advice, `Or convert the guest, with what works there: ${options}.`];
  return new Failure(failure.code, failure.message, {
    advice: advice.filter((text) => text !== undefined).join(' '),
    cause: failure,
  });
}
