import process from 'node:process';
import type { Context } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import { lowerFence } from '../../guest/hypervisor-fence.ts';
import { isImageOnly } from '../../guest/definition.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { partialPath } from '../../image/target/target-path.ts';
import { shellLine } from '../../quote-for-shell.ts';
import type { Move } from './preflight.ts';
import { noteState } from '../../guest/note-state.ts';
import { overwrittenDevices, tellOverwritten } from './target-devices.ts';
import type { DeviceThere } from './migration-report.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { findRunningGuest } from '../../guest/resolve-guest.ts';
import { dropClaim } from './passes/claim-guest.ts';
import { findStayingGuest } from '../../guest/staying-guest.ts';

const RESTART_LIMIT_MS = 120_000;
const REMOTE_UNDO_LIMIT_MS = 15_000;

/**
 * After a failure before the boot: starts the guest here again, if it ran, and has the new hardware remove what it was
 * sent. Returns the failure to show. An interruption does not stop this: Ctrl-C waits for it.
 */
export async function undoMove(failure: Failure, move: Move, context: Context): Promise<Failure> {
  const patient: Context = { ...context, signal: new AbortController().signal };
  // Start the guest first: every second counts, and the new hardware boots nothing unless told to.
  const restarted = await restart(move, patient);
  const isClean = await undoRemote(move, patient);
  const overwritten = overwrittenDevices(move.devices, move.receiver.opened);
  for (const device of overwritten) tellOverwritten(device, move.receiver.machine.name, patient);
  if (restarted instanceof Failure) {
    const { name } = move.guest.definition;
    return new Failure(
      'guest-left-down',
      `${failure.message} And ${name} could not be started here again: ${restarted.message}`,
      { advice: restarted.advice ?? `Start it with: vmferry start ${name}`, cause: failure },
    );
  }
  return failure.code === 'interrupted'
    ? howItEnded(failure, restarted, isClean, move, overwritten)
    : failure;
}

function howItEnded(
  { code, message }: Failure,
  guestNow: string | null,
  isClean: boolean,
  { receiver }: Move,
  overwritten: readonly DeviceThere[],
): Failure {
  const but =
    overwritten.length === 0
      ? ''
      : ` but what was written to ${overwritten.map(({ path }) => path).join(', ')}`;
  const there = isClean ? `Nothing was left on ${receiver.machine.name}${but}.` : null;
  return new Failure(code, [message, guestNow, there].filter((text) => text !== null).join(' '));
}

/** Returns a sentence: the guest's state, or why it is down; null if the guest was not touched. */
async function restart(move: Move, context: Context): Promise<string | Failure | null> {
  const { guest, dependencies } = move;
  const { drivers, records, consoleLogOf } = dependencies;
  const { definition, running } = guest;
  const { name, driver: kind } = definition;
  if (isImageOnly(definition)) return null;
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

/**
 * A living receiver undoes its own work. The files of a dead receiver are removed over the same connection.
 * Returns false, with a warning, if something may be left.
 */
async function undoRemote(
  { receiver, connection, places, devices }: Move,
  context: Context,
): Promise<boolean> {
  const limit = AbortSignal.timeout(REMOTE_UNDO_LIMIT_MS);
  const isFile = (path: string) => devices.every((device) => device.path !== path);
  // Only of disks that were begun: any other partial image there is not ours.
  const partials = receiver.opened.filter(isFile).map(partialPath);
  try {
    if (!receiver.failed.aborted) {
      await receiver.request({ type: 'abort' }, 'aborted', limit);
      return true;
    }
    const { code } = asFailure(receiver.failed.reason);
    const isGone = code === 'receiver-died' || code === 'connection-lost' || code === 'protocol-violation';
    // No spool: nothing was begun.
    if (!isGone || receiver.spool === null) return true;
    const leftovers = [receiver.spool, ...partials, ...receiver.published.filter(isFile)];
    const command = `rm -rf -- ${shellLine(leftovers)}`;
    const removing = await connection.exec(command, limit);
    const { exitStatus } = await removing.exited;
    if (exitStatus !== 0) throw new Failure('transfer-failed', removing.stderrText());
    return true;
  } catch {
    const message = `${receiver.machine.name} did not confirm that it removed the data of the move: look at ${places.map(({ path }) => path).join(', ')} there.`;
    context.report({ type: 'warning', code: 'clean-up-incomplete', message });
    return false;
  }
}
