import { performance } from 'node:perf_hooks';
import type { Context } from '../../events.ts';
import { Failure, failureOrReason } from '../../failure.ts';
import type { DiskDefinition } from '../../guest/definition.ts';
import { holdStill } from '../../hold/hold-still.ts';
import type { HoldMethod } from '../../hold/still-guest.ts';
import { removeLeftClones } from '../../hold/still-disks.ts';
import { hasComparablePlaces } from '../../image/clones/placed-extents.ts';
import { partialPath } from '../../image/target/target-path.ts';
import { collectWarnings } from '../../pipeline/collect-warnings.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { refuseSuspension } from '../../system/suspension.ts';
import { fromWireFailure } from '../../wire/messages.ts';
import { conversionAccount } from '../migrate/conversion/account.ts';
import { adaptationWork } from '../migrate/conversion/adaptation-work.ts';
import { giveUpCommand } from '../migrate/line/left-there.ts';
import { overLostLines } from '../migrate/line/over-lost-lines.ts';
import { Patience } from '../migrate/line/patience.ts';
import type { MigrateDependencies } from '../migrate/migrate-dependencies.ts';
import { claimGuest, dropClaim } from '../migrate/passes/claim-guest.ts';
import { HALT_SECONDS } from '../migrate/passes/downtime.ts';
import { MoveCopy } from '../migrate/passes/move-copy.ts';
import { WriteRecorder } from '../migrate/passes/write-recorder.ts';
import { predictLastPass } from '../migrate/passes/when-to-halt.ts';
import { preflight, type Move } from '../migrate/preflight.ts';
import { undoMove } from '../migrate/undo.ts';
import { tellWhenInterrupted } from '../../pipeline/when-interrupted.ts';
import { chooseHold, requireRehearsable } from './refuse-unrehearsable.ts';
import type { RehearsalReport, RehearsedDisk, RehearseRequest } from './rehearsal-report.ts';

/**
 * Copies a guest to the new hardware while it runs, and has a clone of that copy booted there, cut off from everything (doc/migration.md). The
 * guest is not halted. What was copied stays there for the move. Throws Failure `boot-failed` if it does not boot there.
 */
export async function rehearse(
  request: RehearseRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<RehearsalReport> {
  const startedMs = performance.now();
  const { watched, warnings } = collectWarnings(context);
  await using move = await preflight(request, dependencies, watched);
  const hold = chooseHold(requireRehearsable(move), request, dependencies);
  await using recorder = await WriteRecorder.for(move);
  await using copy = new MoveCopy(move, recorder);
  const bootSeconds = await rehearseMove(move, { copy, recorder, hold }, watched);
  const { guest, there, fixups, line } = move;
  const disks = disksOf(move, copy);
  const { passes } = copy;
  return {
    type: 'rehearsed',
    guest: guest.definition.name,
    destination: request.target.destination,
    ...conversionAccount(there, fixups),
    disks,
    passes,
    bootSeconds,
    predictedDowntimeSeconds: HALT_SECONDS + predictLastPass(passes).seconds + bootSeconds,
    giveUp: giveUpCommand(
      disks.map(({ target }) => target),
      line.receiver.machine,
    ),
    seconds: (performance.now() - startedMs) / 1000,
    warnings,
  };
}

interface Copying {
  copy: MoveCopy;
  recorder: WriteRecorder | null;
  hold: HoldMethod;
}

/** Returns the seconds that the boot took there. Throws Failure `boot-failed`; then what was copied stays there, too. */
async function rehearseMove(move: Move, copying: Copying, context: Context): Promise<number> {
  const { copy } = copying;
  const { request, guest, line } = move;
  const { name, disks } = guest.definition;
  const { destination } = request.target;
  const fate = `The rehearsal is being undone: its data is removed from ${destination}, and ${name} runs on here.`;
  using _told = tellWhenInterrupted(context, () => fate);
  using _suspension = refuseSuspension(() =>
    context.report({ type: 'notice', message: 'Ctrl-Z has no effect now: the line would break meanwhile.' }),
  );
  let booted: number | Failure;
  try {
    for (const { path } of disks) if (hasComparablePlaces(path)) removeLeftClones(path, context);
    await claimGuest(move, 'rehearsal');
    booted = await overLostLines(
      {
        line,
        patience: new Patience(request.retrying, null),
        progress: () => copy.progress,
        async work(moving) {
          await copy.useLine(moving.signal);
          await copy.copyWhileItRuns(moving);
          await copyHeld(move, copying, moving);
          return bootThere(move, moving);
        },
      },
      context,
    );
  } catch (error) {
    throw await undoMove(failureOrReason(error, context.signal), move, context);
  }
  await dropClaim(move, context);
  // If the line is lost now, the incomplete images stay as well.
  await line.receiver.request({ type: 'leave' }, 'left', line.receiver.failed).catch(() => undefined);
  if (booted instanceof Failure) throw withWayOn(booted, move);
  return booted;
}

/** The last pass, over the disks as they were at one moment. */
async function copyHeld(
  { guest, dependencies, request }: Move,
  { copy, recorder, hold }: Copying,
  context: Context,
): Promise<void> {
  const options = { ...request, recording: recorder?.request ?? null };
  await using still = await holdStill(guest, hold, options, dependencies, context);
  const { recording } = still;
  const written = recording === undefined ? null : (recorder?.note(recording) ?? null);
  const heldOf = (disk: DiskDefinition) => still.disks[guest.definition.disks.indexOf(disk)] ?? disk;
  await copy.copyAsHeld(heldOf, written, context);
  await still.refuseChanged();
}

/** Returns the seconds until the copy was up there, or why it did not come up. */
function bootThere(
  { line, there, fixups, system, request }: Move,
  context: Context,
): Promise<number | Failure> {
  const { receiver } = line;
  const work = adaptationWork(there, fixups, system);
  return runStage(
    context,
    'boot',
    `booting a copy of ${there.definition.name} on ${receiver.machine.name}, with no network`,
    async () => {
      const message = { type: 'rehearse', ...work, timeoutMs: request.bootTimeoutMs } as const;
      const { bootMs, failure, warnings } = await receiver.request(message, 'rehearsed', context.signal);
      for (const warning of warnings) context.report({ type: 'warning', ...warning });
      if (failure !== undefined) return fromWireFailure(failure, receiver.machine);
      if (bootMs !== undefined) return bootMs / 1000;
      throw new Failure(
        'protocol-violation',
        `${receiver.machine.name} does not say whether the copy came up.`,
      );
    },
    (booted) =>
      booted instanceof Failure ? 'the copy did not come up' : `the copy was up in ${booted.toFixed(1)} s`,
  );
}

function disksOf({ disks, places }: Move, copy: MoveCopy): RehearsedDisk[] {
  return places.map((place, index) => ({
    source: place.disk.path,
    target: place.path,
    partial: partialPath(place.path),
    sizeBytes: disks[index]?.source.sizeBytes ?? 0,
    sentBytes: copy.sentBytesOf(place),
  }));
}

function withWayOn(failure: Failure, { guest, places, line }: Move): Failure {
  const { machine } = line.receiver;
  const giveUp = giveUpCommand(
    places.map(({ path }) => path),
    machine,
  );
  const stays = `${guest.definition.name} runs on here, untouched. What was copied stays on ${machine.name}: the next rehearsal or move goes on from there. To give it up: ${giveUp}`;
  return new Failure(failure.code, failure.message, {
    advice: [failure.advice, stays].filter((text) => text !== undefined).join(' '),
    cause: failure,
  });
}
