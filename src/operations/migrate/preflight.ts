import type { Context } from '../../events.ts';
import { asFailure, combineFailures, Failure } from '../../failure.ts';
import { isImageOnly } from '../../guest/definition.ts';
import { resolveGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import { Resources } from '../../pipeline/resources.ts';
import { whyCiphersAreSlow } from '../../ssh/ciphers.ts';
import type { SshConnection } from '../../store/sftp/ssh-connection.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';
import { levelToEstimateWith } from '../../transfer/compression-level.ts';
import { estimateDowntimeSeconds, expectedReadBytes, measureLine, sampleCompression } from './estimate.ts';
import { warnOfDoubtfulFileSystems } from '../../transfer/file-system-warnings.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import type { DeviceThere, MigrateRequest, MigrationPlan } from './migration-report.ts';
import { refuseWhileMoved } from '../../guest/mover.ts';
import { placeDisks, type DiskPlaces, type PlacedDisk } from './place-disks.ts';
import { lookAtDisks, type Attempt } from './preflight-disks.ts';
import { tellOfDevice } from './target-devices.ts';
import { wirePlace } from './wire-place.ts';
import { runningKernelId } from '../../system/machine.ts';
import { newHardware, receiveCommand } from '../../wire/new-hardware.ts';
import { RemoteReceiver } from '../../wire/remote-receiver.ts';
import { fromWireFailure } from '../../wire/messages.ts';
import { explainNoReceiver } from './sftp-only-account.ts';
import { diskAccount, relocate, type SourceDisk } from '../../transfer/source-disk.ts';
import { runStage } from '../../pipeline/run-stage.ts';

/** A move that passed the preflight. */
export interface Move extends AsyncDisposable {
  request: MigrateRequest;
  dependencies: MigrateDependencies;
  guest: ResolvedGuest;
  /** Absolute, on the new hardware; null if every disk has a place of its own. */
  directory: string | null;
  /** All disks of the guest, in its order. */
  places: readonly PlacedDisk[];
  /** The block devices that some of them go onto. */
  devices: readonly DeviceThere[];
  connection: SshConnection;
  receiver: RemoteReceiver;
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
  request: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<Move> {
  await using cleanup = new Resources();
  const problemsHere: Failure[] = [];
  const problemsThere: Failure[] = [];
  const attempt = attemptNoting(problemsHere, context.signal);
  const attemptThere = attemptNoting(problemsThere, context.signal);

  // The other side takes a while to start; this side is checked meanwhile.
  const remote = await attemptThere(() => startReceiver(request, dependencies, context, cleanup));
  const guest = await attempt(() => resolveGuest(request.guest, dependencies, context, request.imageFormat));
  await attempt(() => refuseWhileMoved(guest?.record ?? null));
  const disks =
    guest === null ? [] : await lookAtDisks(guest, request, dependencies.drivers, attempt, cleanup, context);
  await attemptThere(() => remote && receiverReady(remote, context.signal));
  const placed = await attempt(() => guest && placeDisks(guest.definition, request));
  const isThere = remote !== null && problemsThere.length === 0;
  const devices =
    isThere && guest !== null && placed !== null
      ? await attemptThere(() => checkRemote(remote.receiver, { request, guest, disks, ...placed }, context))
      : null;
  const [firstProblem, ...others] = [...problemsHere, ...problemsThere];
  if (firstProblem !== undefined) throw combineFailures([firstProblem, ...others]);
  if (guest === null || remote === null || placed === null || devices === null)
    throw new Failure('internal', 'There is nothing to move.');
  const resources = cleanup.release();
  return {
    request,
    dependencies,
    guest,
    ...placed,
    devices,
    ...remote,
    disks: disks.filter((disk) => disk !== null),
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
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

/** Returns before the receiver is ready, so that this side can be checked meanwhile. */
async function startReceiver(
  { target, remoteCommand }: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
  cleanup: Resources,
): Promise<{ connection: SshConnection; receiver: RemoteReceiver }> {
  const connection = cleanup.hold(await dependencies.connect(target.destination, target, context));
  if (!connection.nativeCiphers)
    context.report({ type: 'warning', code: 'slow-ciphers', message: whyCiphersAreSlow() });
  const machine = newHardware(target, remoteCommand);
  // An interruption does not end the receiver: it must be told to undo its work, and answer.
  const patient = new AbortController().signal;
  const process = await untilAborted(context.signal, () => connection.exec(receiveCommand(machine), patient));
  return { connection, receiver: cleanup.hold(new RemoteReceiver(process, machine)) };
}

async function receiverReady(
  { connection, receiver }: { connection: SshConnection; receiver: RemoteReceiver },
  signal: AbortSignal,
): Promise<void> {
  try {
    await receiver.ready(signal);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof Failure ? await explainNoReceiver(error, connection) : error;
  }
}

interface RemoteCheck extends DiskPlaces {
  request: MigrateRequest;
  guest: ResolvedGuest;
  disks: readonly (SourceDisk | null)[];
}

/** Returns the block devices that disks go onto. */
async function checkRemote(
  receiver: RemoteReceiver,
  { request, guest, directory, places, disks }: RemoteCheck,
  context: Context,
): Promise<readonly DeviceThere[]> {
  const { definition } = guest;
  const sourceKernel = runningKernelId();
  const { problems, warnings, devices } = await receiver.request(
    {
      type: 'check',
      directory,
      disks: places.map((place, index) => {
        // If an image cannot be opened here, only its name is known.
        const { source, readBytes } = disks[index] ?? { source: { sizeBytes: 0 }, readBytes: 0 };
        return { ...wirePlace(place), sizeBytes: source.sizeBytes, neededBytes: readBytes };
      }),
      ...(request.overwrite && { overwrite: true }),
      guest: isImageOnly(definition) ? null : relocate(definition, places),
      ...(sourceKernel !== null && { sourceKernel }),
    },
    'checked',
    context.signal,
  );
  for (const warning of warnings) context.report({ type: 'warning', ...warning });
  const [first, ...others] = problems.map((problem) => fromWireFailure(problem, receiver.machine));
  if (first !== undefined) throw combineFailures([first, ...others]);
  for (const device of devices ?? []) {
    const index = places.findIndex(({ path }) => path === device.path);
    tellOfDevice(device, disks[index]?.source.sizeBytes ?? 0, receiver.machine.name, context);
  }
  return devices ?? [];
}

/** Predicts a move, from samples of the image and of the line. */
export async function planMigration(
  { request, dependencies, guest, places, devices, disks, receiver }: Move,
  context: Context,
): Promise<MigrationPlan> {
  const mostReadBytes = disks.reduce((sum, disk) => sum + disk.readBytes, 0);
  const readBytes =
    guest.running === null || request.everyBlock
      ? mostReadBytes
      : disks.reduce((sum, disk) => sum + expectedReadBytes(disk), 0);
  if (guest.running === null && !request.everyBlock)
    for (const disk of disks) warnOfDoubtfulFileSystems(disk, context);
  const sample = await sampleCompression(disks, dependencies.pool, levelToEstimateWith(request.compression));
  const lineBytesPerSecond = await measureLine(receiver, context.signal);
  const willBoot = !isImageOnly(guest.definition);
  const isDown = guest.running === null || sample === null;
  return {
    type: 'plan',
    guest: guest.definition.name,
    destination: request.target.destination,
    willHalt: guest.running !== null,
    willBoot,
    devices,
    disks: disks.map((disk, index) => diskAccount(disk, places[index]?.path ?? '')),
    estimatedSendBytes: sample === null ? null : Math.round(readBytes * sample.ratio),
    mostSendBytes: sample === null ? null : Math.round(mostReadBytes * sample.ratio),
    estimatedDowntimeSeconds: isDown ? null : estimateDowntimeSeconds(readBytes, sample, lineBytesPerSecond),
    warnings: [],
  };
}
