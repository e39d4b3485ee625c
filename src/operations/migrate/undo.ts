import process from 'node:process';
import type { Context } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import { lowerFence } from '../../guest/hypervisor-fence.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { incompleteFiles } from '../../image/target/partial-claim.ts';
import { shellLine } from '../../quote-for-shell.ts';
import { giveUpCommand } from './line/left-there.ts';
import type { Move } from './preflight.ts';
import { noteState } from '../../guest/note-state.ts';
import { filesAmong, overwrittenDevices, tellOverwritten } from './target-devices.ts';
import type { DeviceThere } from './migration-report.ts';
import type { RemoteReceiver } from '../../wire/remote-receiver.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { findRunningGuest, isOfThisMachine } from '../../guest/resolve-guest.ts';
import { dropClaim, noteLeftCopy } from './passes/claim-guest.ts';
import { findStayingGuest } from '../../guest/staying-guest.ts';

const RESTART_LIMIT_MS = 120_000;
const REMOTE_UNDO_LIMIT_MS = 15_000;

/**
 * After a failure before the boot: starts the guest here again, if it ran, and has the new hardware remove what it was
 * sent. If the line is lost, what was sent stays there: the next attempt goes on with it. Returns the failure to show. An interruption does
 * not stop this: Ctrl-C waits for it.
 */
export async function undoMove(failure: Failure, move: Move, context: Context): Promise<Failure> {
  const patient: Context = { ...context, signal: new AbortController().signal };
  const { machine } = move.line.receiver;
  // Start the guest first: every second counts, and the new hardware boots nothing unless told to.
  const restarted = await restart(move, patient);
  const there = await undoRemote(move, patient);
  if (there.left.length > 0) await noteLeftCopy(move, patient);
  const overwritten = overwrittenDevices(move.devices, move.line.begun);
  for (const device of overwritten) tellOverwritten(device, machine.name, patient);
  if (restarted instanceof Failure) {
    const { name } = move.guest.definition;
    return new Failure(
      'guest-left-down',
      `${failure.message} And ${name} could not be started here again: ${restarted.message}`,
      { advice: restarted.advice ?? `Start it with: vmferry start ${name}`, cause: failure },
    );
  }
  const shown =
    failure.code === 'interrupted'
      ? howItEnded(failure, restarted, there.isClean, machine.name, overwritten)
      : failure;
  return there.left.length === 0 ? shown : withWayOn(shown, there.left, move);
}

function howItEnded(
  { code, message }: Failure,
  guestNow: string | null,
  isClean: boolean,
  destination: string,
  overwritten: readonly DeviceThere[],
): Failure {
  const but =
    overwritten.length === 0
      ? ''
      : ` but what was written to ${overwritten.map(({ path }) => path).join(', ')}`;
  const there = isClean ? `Nothing was left on ${destination}${but}.` : null;
  return new Failure(code, [message, guestNow, there].filter((text) => text !== null).join(' '));
}

/** Says what becomes of the incomplete images that stay there. */
function withWayOn(failure: Failure, finalPaths: readonly string[], { guest, request, line }: Move): Failure {
  const { machine } = line.receiver;
  const { definition } = guest;
  const isNoted = request.options !== undefined && isOfThisMachine(guest);
  const again = isNoted ? shellLine(['vmferry', 'migrate', definition.name, '--resume']) : 'the same command';
  const advice = `What was copied stays on ${machine.name}: ${again} goes on from there. To give it up: ${giveUpCommand(finalPaths, machine)}`;
  return new Failure(failure.code, failure.message, {
    advice: [failure.advice, advice].filter((text) => text !== undefined).join(' '),
    transient: failure.transient,
    cause: failure,
  });
}

/** Returns a sentence: the guest's state, or why it is down; null if the guest was not touched. */
async function restart(move: Move, context: Context): Promise<string | Failure | null> {
  const { guest, dependencies } = move;
  const { drivers, records, consoleLogOf } = dependencies;
  const { definition, running } = guest;
  const { name, driver: kind } = definition;
  if (!isOfThisMachine(guest)) return null;
  /** A record that cannot be written, for example to a full disk, must not keep the guest down. */
  const remember = (state: 'halted' | 'running') => noteState({ definition, state }, records, context);
  try {
    // Another mover's record, or none yet: this move has not touched the guest.
    const record = await records.read(name);
    if (await dropClaim(move, context)) return await untouched(name, drivers, context);
    if (record?.move?.mover?.pid !== process.pid) return null;
    await lowerFence(record, dependencies, context);
    if (running === null) {
      await remember('halted');
      return `${name} is down here, as it was.`;
    }
    const driver = requireDriver(drivers, kind);
    const staying = await findStayingGuest(name, drivers, context);
    if (staying !== null) {
      // It may still be shutting down, after the time limit.
      const message = `${name} still runs, but may have been told to halt. If it goes down later: vmferry start ${name}`;
      context.report({ type: 'warning', code: 'other', message });
    } else {
      await remember('halted');
      const options = { consoleLog: consoleLogOf(name), timeoutMs: RESTART_LIMIT_MS };
      await runStage(
        context,
        'start',
        `starting ${name} here again`,
        () => driver.start(definition, options, context),
        ({ identity }) => `${name} runs here as before (${identity.label}), console in ${options.consoleLog}`,
      );
    }
    await remember('running');
    return staying === null ? `${name} runs here again.` : `${name} still runs here.`;
  } catch (error) {
    return asFailure(error);
  }
}

async function untouched(name: string, drivers: readonly GuestDriver[], context: Context): Promise<string> {
  const running = await findRunningGuest(name, drivers, context);
  return running === null ? `${name} has ended by itself.` : `${name} still runs here.`;
}

interface LeftThere {
  /** Whether it is known that nothing is left. */
  isClean: boolean;
  /** The final paths of the incomplete images that stay for the next attempt. */
  left: string[];
}

/**
 * A living receiver undoes its own work. If it is lost, incomplete images stay for the next attempt, and the rest is removed over the same
 * connection, if that still works. Warns if it cannot be known what is left.
 */
async function undoRemote({ line, places, devices }: Move, context: Context): Promise<LeftThere> {
  const { receiver } = line;
  const limit = AbortSignal.timeout(REMOTE_UNDO_LIMIT_MS);
  const published = filesAmong(line.published, devices);
  // Only of disks that were begun: any other partial image there is not ours.
  const incomplete = filesAmong(line.begun, devices).filter((path) => !published.includes(path));
  const lost = await callOff(receiver, limit);
  if (lost?.code === 'connection-lost') return { isClean: false, left: incomplete };
  const staysForLater = lost?.transient === true;
  const left = staysForLater ? incomplete : [];
  // A receiver that has undone its work knows only of the disks that it has opened itself.
  const hasUndone = lost === null || (!staysForLater && lost.code !== 'protocol-violation');
  const unwanted = incomplete.filter((path) => !(hasUndone && receiver.opened.includes(path)));
  const leftovers = [
    ...published,
    ...(staysForLater ? [] : unwanted.flatMap(incompleteFiles)),
    ...(hasUndone || receiver.spool === null ? [] : [receiver.spool]),
  ];
  try {
    if (leftovers.length > 0) await line.remove(leftovers, limit);
    return { isClean: left.length === 0, left };
  } catch {
    const message = `${receiver.machine.name} did not confirm that it removed the data of the move: look at ${places.map(({ path }) => path).join(', ')} there.`;
    context.report({ type: 'warning', code: 'clean-up-incomplete', message });
    return { isClean: false, left };
  }
}

/** Has the receiver undo its work. Returns why it did not; null if it did. */
async function callOff(receiver: RemoteReceiver, limit: AbortSignal): Promise<Failure | null> {
  try {
    receiver.failed.throwIfAborted();
    await receiver.request({ type: 'abort' }, 'aborted', limit);
    return null;
  } catch (error) {
    if (!limit.aborted) return asFailure(error);
    const seconds = REMOTE_UNDO_LIMIT_MS / 1000;
    return new Failure('connection-lost', `${receiver.machine.name} did not answer for ${seconds} s.`, {
      transient: true,
    });
  }
}
