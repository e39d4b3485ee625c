import { performance } from 'node:perf_hooks';
import type { Context } from '../../events.ts';
import { asFailure, Failure, failureOrReason } from '../../failure.ts';
import { isImageOnly, type GuestDefinition } from '../../guest/definition.ts';
import { sourceOf, withSource } from '../../guest/guest-source.ts';
import { thisMachine } from '../../system/machine.ts';
import type { MoverMessage } from '../../wire/messages.ts';
import { conversionAccount } from './conversion/account.ts';
import { adaptThere } from './conversion/adapt-there.ts';
import { isOfThisMachine } from '../../guest/resolve-guest.ts';
import { noteUp } from '../../guest/note-state.ts';
import { raiseFence } from '../../guest/hypervisor-fence.ts';
import { haltForMove } from './halt-for-move.ts';
import { awaitReleases } from '../../guest/disks/await-releases.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import { noteAnswers, refreshAnswers } from './probes/note-answers.ts';
import { commitProven } from './commit-proven.ts';
import { proveMove } from './prove-move.ts';
import { planMigration } from './plan-migration.ts';
import { preflight, type Move } from './preflight.ts';
import { filesAmong } from './target-devices.ts';
import { undoMove } from './undo.ts';
import type { MigrateRequest, MigrationPlan, MigrationReport } from './migration-report.ts';
import { refuseUnlessOwn, thisMover } from '../../guest/mover.ts';
import { removeLeftClones } from '../../hold/still-disks.ts';
import { claimGuest } from './passes/claim-guest.ts';
import { DowntimeClock } from './passes/downtime.ts';
import { overLostLines } from './line/over-lost-lines.ts';
import { Patience } from './line/patience.ts';
import type { MovedDisk } from './passes/copied-move.ts';
import { holdUntilCutover } from './passes/hold.ts';
import { isWarm } from './passes/is-warm.ts';
import { MoveCopy } from './passes/move-copy.ts';
import { WriteRecorder } from './passes/write-recorder.ts';
import { refuseSuspension } from '../../system/suspension.ts';
import { hasComparablePlaces } from '../../image/clones/placed-extents.ts';
import { refuseChanged, stampImages } from '../../image/image-stamp.ts';
import { collectWarnings } from '../../pipeline/collect-warnings.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { tellWhenInterrupted } from '../../pipeline/when-interrupted.ts';

const CHANGED_ADVICE =
  'Something on this machine may have started the guest meanwhile. Stop that, and move it again.';

/**
 * Moves a guest to new hardware: preflight, halt, copy, verify, publish, fence, boot, probe, commit (doc/migration.md). If something
 * fails before the boot, the guest runs on the old hardware, nothing is left on the new hardware, and the Failure is thrown.
 */
export async function migrate(
  request: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<MigrationReport | MigrationPlan> {
  const startedMs = performance.now();
  const clock = new DowntimeClock();
  const { watched, warnings } = collectWarnings({
    ...context,
    report(event) {
      clock.note(event);
      context.report(event);
    },
  });
  await using move = await preflight(request, dependencies, watched);
  let noted = await noteAnswers(move.guest, request.probing, watched);
  if (request.dryRun) return { ...(await planMigration(move, [], watched)), warnings };

  const beforeHalt = async (context: Context) => {
    noted = await refreshAnswers(noted, context);
  };
  const moved = await moveGuest(move, beforeHalt, watched);
  const { downtimeSeconds, parts: downtimeParts } = clock;
  const { guest, directory, devices, there, fixups } = move;
  const probes = await proveMove(noted, move, watched);
  const committed = await commitProven(noted.guest, probes, request, dependencies, watched);
  return {
    type: 'moved',
    guest: guest.definition.name,
    archive: guest.archived === undefined ? null : request.guest,
    destination: request.target.destination,
    directory,
    devices,
    ...conversionAccount(there, fixups),
    ...moved,
    probes,
    committed,
    seconds: (performance.now() - startedMs) / 1000,
    downtimeSeconds,
    downtimeParts,
    warnings,
  };
}

async function moveGuest(
  move: Move,
  beforeHalt: BeforeHalt,
  context: Context,
): Promise<Pick<MigrationReport, 'disks' | 'passes' | 'predictedDowntimeSeconds' | 'booted'>> {
  const { request, guest } = move;
  const { name } = guest.definition;
  const { destination } = request.target;
  const runsOn = guest.running === null ? '' : `, and ${name} runs on here`;
  let fate = `The move is being undone: its data is removed from ${destination}${runsOn}.`;
  using _told = tellWhenInterrupted(context, () => fate);
  using _suspension = refuseSuspension(() =>
    context.report({
      type: 'notice',
      message: `Ctrl-Z has no effect now: ${name} is being moved, and the line would break meanwhile.`,
    }),
  );
  try {
    for (const { path } of guest.definition.disks)
      if (hasComparablePlaces(path)) removeLeftClones(path, context);
    await using recorder = isWarm(move) ? await WriteRecorder.for(move) : null;
    await using copy = new MoveCopy(move, recorder);
    if (isWarm(move)) await claimGuest(move);
    await copyBeforeHalt(move, copy, beforeHalt, context);
    const downSinceMs = guest.running === null ? null : performance.now();
    await haltForMove(move, copy, context);
    const stamps = await stampImages(guest.definition.disks);
    const { disks, adapted } = await copyAfterHalt(move, copy, downSinceMs, context);
    // From now on Ctrl-C is too late.
    fate = `It is too late to stop: ${name} may already run on ${destination}. The move goes on to its end.`;
    await refuseChanged(stamps, CHANGED_ADVICE);
    const { passes, predictedDowntimeSeconds } = copy;
    return { disks, passes, predictedDowntimeSeconds, booted: await finishMove(move, adapted, context) };
  } catch (error) {
    const failure = failureOrReason(error, context.signal);
    if (failure.code === 'outcome-unknown') throw failure;
    throw await undoMove(failure, move, context);
  }
}

/** The last work before the guest is halted. */
type BeforeHalt = (context: Context) => Promise<void>;

/** Copies the guest while it runs, if that was asked for, and waits until it is time for the halt. The line holds then. */
function copyBeforeHalt(move: Move, copy: MoveCopy, beforeHalt: BeforeHalt, context: Context): Promise<void> {
  const { request, guest, line, dependencies } = move;
  const { hold, retrying } = request;
  const held = {
    guest: guest.definition.name,
    records: dependencies.records,
    async passAgain(moving: Context) {
      const seconds = await copy.passAgain(moving);
      copy.tellPrediction(moving);
      return seconds;
    },
  };
  const work = async (moving: Context): Promise<void> => {
    await copy.useLine(moving.signal);
    if (isWarm(move)) await copy.copyWhileItRuns(moving);
    copy.tellPrediction(moving);
    if (guest.running !== null && hold !== null) await holdUntilCutover(hold, held, moving);
    await beforeHalt(moving);
    moving.signal.throwIfAborted();
  };
  const patience = new Patience(retrying, null);
  return overLostLines({ line, patience, progress: () => copy.progress, work }, context);
}

/** @param downSinceMs null if the guest did not run */
function copyAfterHalt(
  move: Move,
  copy: MoveCopy,
  downSinceMs: number | null,
  context: Context,
): Promise<{ disks: MovedDisk[]; adapted: GuestDefinition }> {
  const { request, line } = move;
  let isFirst = true;
  const work = async (moving: Context) => {
    if (!isFirst) {
      await removePublished(move, moving.signal);
      await copy.useLine(moving.signal);
    }
    isFirst = false;
    return completeThere(move, copy, moving);
  };
  const patience = new Patience(request.retrying, downSinceMs);
  return overLostLines({ line, patience, progress: () => copy.progress, work }, context);
}

/** What a lost receiver has published, and may not have removed, because it was killed. */
async function removePublished({ line, devices }: Move, signal: AbortSignal): Promise<void> {
  const files = filesAmong(line.published, devices);
  if (files.length > 0) await line.remove(files, signal);
}

/** Copies the rest of the halted guest, gives its images their names, and adapts them. */
async function completeThere(
  move: Move,
  copy: MoveCopy,
  moving: Context,
): Promise<{ disks: MovedDisk[]; adapted: GuestDefinition }> {
  const { receiver } = move.line;
  const disks = await copy.copyTheRest(moving);
  moving.signal.throwIfAborted();
  const { warnings } = await runStage(
    moving,
    'publish',
    'giving the images their names',
    () => receiver.request(publishRequest(move), 'published', moving.signal),
    ({ paths }) => paths.join(', '),
  );
  for (const warning of warnings) moving.report({ type: 'warning', ...warning });
  moving.signal.throwIfAborted();
  const adapted = await adaptThere(move, moving);
  moving.signal.throwIfAborted();
  return { disks, adapted };
}

/** A receiver that does not know grants, or whose images no other guest can use, is not asked for them. */
function publishRequest({ request, line }: Move): Extract<MoverMessage, { type: 'publish' }> {
  const isShared = request.chunksThere !== undefined && line.receiver.canTake;
  return { type: 'publish', ...(isShared && { grants: true }) };
}

/** Fences the guest here, boots it there, and commits. */
async function finishMove(
  move: Move,
  guestThere: GuestDefinition,
  context: Context,
): Promise<MigrationReport['booted']> {
  const { request, dependencies, guest, directory, line } = move;
  const { receiver } = line;
  const { definition } = guest;
  if (isImageOnly(definition)) {
    await receiver.request({ type: 'commit' }, 'committed', receiver.failed);
    return null;
  }
  const { destination, sshConfigFile } = request.target;
  const { remoteCommand } = request;
  const isOurs = isOfThisMachine(guest);
  const origin = guest.archived ?? { definition, machine: thisMachine() };
  const moved = { destination, directory, sshConfigFile, remoteCommand, ...thisMover() };
  const record = isOurs ? await dependencies.records.read(definition.name) : null;
  if (isOurs) refuseUnlessOwn(record, definition.name);
  // With these sources, a store that both machines back up to treats it as one guest, also after a revert.
  const earlier = record?.sources ?? [];
  const sources = withSource(earlier, sourceOf(guestThere, receiver.identity));
  // This machine could not start a guest of an archive: it needs no fence.
  if (isOurs) await raiseFence({ definition, state: 'moved', move: moved, sources }, dependencies, context);
  // Last check, after the fence: if something has started the guest here again, it stays here.
  await awaitReleases(definition, receiver.failed);
  // Checked before the boot is requested: if the line is broken, the guest does not run there.
  receiver.failed.throwIfAborted();
  const up = await runStage(
    context,
    'boot',
    `booting ${definition.name} on ${destination}`,
    async () => {
      try {
        // Never aborted: once the new hardware was told to boot, only its answer says where the guest runs.
        const boot = {
          type: 'boot',
          guest: guestThere,
          sources: withSource(earlier, sourceOf(origin.definition, origin.machine)),
          timeoutMs: request.bootTimeoutMs,
        } as const;
        return await receiver.request(boot, 'up', receiver.failed);
      } catch (error) {
        const failure = asFailure(error);
        if (failure.code === 'boot-failed') throw failure;
        throw new Failure(
          'outcome-unknown',
          `It is not known whether ${definition.name} has come up on ${destination}: ${failure.message} ` +
            'It may run there, so it was not started here again.',
          {
            advice: `Look there. If it runs there, all is well. If not: ${isOurs ? `vmferry revert ${definition.name}` : 'give the same command again'}`,
            cause: error,
          },
        );
      }
    },
    ({ pid }) => `${definition.name} is up on ${destination}${pid === null ? '' : ` (process ${pid})`}`,
  );
  if (isOurs) await noteUp(definition.name, dependencies.records, context);
  for (const warning of up.warnings) context.report({ type: 'warning', ...warning });
  // The guest runs there whether or not this message arrives.
  await receiver.request({ type: 'commit' }, 'committed', receiver.failed).catch(() => undefined);
  return { pid: up.pid, consoleLog: up.consoleLog };
}
