import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { poll } from '../../../pipeline/polling.ts';
import { isAlive, signalProcess, type ProcessIdentity } from '../../../system/proc-process.ts';
import type { HaltOptions, RunningGuest } from '../../guest-driver.ts';
import { processOf } from '../process-identity.ts';
import { findSockets } from './running/qemu-process.ts';
import { GuestAgent } from './qmp/guest-agent.ts';
import { QmpError, type Qmp } from './qmp/qmp.ts';
import { pauseAtEnd, type EndPause } from './running/end-pause.ts';
import { openSession, runState, type QemuSession } from './running/session.ts';

const intervalMs = 50;
/** A QEMU that was told to end, or killed, ends at once, or hangs in the host's kernel. */
const endTimeoutMs = 10_000;
/** An agent that cannot shut its guest down says so when its own command for it has failed. */
const refusalMs = 3_000;
/** QEMU ends by itself after its guest has; only with -no-shutdown it does not. */
const lingerMs = 2_000;

/** What a QEMU is asked when its guest has ended, before it ends itself. */
export interface AskedAtEnd {
  /** Not called if this QEMU cannot outlive its guest, or is killed. Throws nothing but QmpError. */
  ask: (qmp: Qmp) => Promise<void>;
  /** The environment of what makes QEMU end if this process is killed. */
  env: NodeJS.ProcessEnv;
}

interface Halting {
  name: string;
  process: ProcessIdentity;
  session: QemuSession;
  options: HaltOptions;
  context: Context;
  /** Null: QEMU ends with its guest. */
  outliving: { ask: AskedAtEnd['ask']; endStates: readonly string[] } | null;
}

/** A step's result: null when the guest is gone, otherwise why it failed, for people. */
type Outcome = string | null;

/**
 * Halts a guest of QEMU and returns when its process is gone. It tries in this order: the agent in the guest; the power
 * button; Ctrl-Alt-Del, with the restart that follows turned into an end; and, only if asked for, the end of QEMU. Throws
 * Failure `halt-failed`; the guest then still runs. When aborted, it finishes the current step, so that the caller knows
 * whether the guest is gone.
 */
export async function haltQemu(
  guest: RunningGuest,
  options: HaltOptions,
  context: Context,
  asked: AskedAtEnd | null = null,
): Promise<void> {
  const process = processOf(guest);
  if (process === null) return;
  const { name } = guest.definition;
  context.signal.throwIfAborted();
  const refusal = await haltInOrder(guest, process, options, context, asked);
  if (refusal === null) return;
  if (!options.force) throw refusal;
  context.signal.throwIfAborted();
  if (isAlive(process)) signalProcess(process.pid, 'SIGKILL');
  if (await isGoneWithin(process, endTimeoutMs)) return;
  throw new Failure(
    'halt-failed',
    `${refusal.message} ${name} was killed, but has not ended (a process that waits for a disk cannot end).`,
    { cause: refusal },
  );
}

/** Null when the guest is gone; else Failure `halt-failed`. */
async function haltInOrder(
  guest: RunningGuest,
  process: ProcessIdentity,
  options: HaltOptions,
  context: Context,
  asked: AskedAtEnd | null,
): Promise<Failure | null> {
  const { name } = guest.definition;
  const opened = await openSession(guest);
  if (typeof opened === 'string') return haltWithoutQmp(guest, process, opened, options, context);
  await using session = opened;
  const halting: Halting = { name, process, session, options, context, outliving: null };
  const tried: string[] = [];
  let endPause: EndPause | null = null;
  try {
    const state = await runState(session.qmp);
    if (state === 'shutdown') {
      await asked?.ask(session.qmp);
      return await quit(halting);
    }
    if (state !== 'running') return isStopped(name, state);
    if (asked !== null) {
      endPause = await pauseAtEnd(process, session, asked.env);
      halting.outliving = endPause && { ask: asked.ask, endStates: endPause.endStates };
    }
    for (const step of [askAgent, pressPowerButton, pressCtrlAltDel]) {
      context.signal.throwIfAborted();
      const outcome = await step(halting);
      if (outcome === null) return null;
      if (outcome !== '') tried.push(outcome);
    }
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    await endPause?.takeBack();
    if (await isGoneWithin(process, endTimeoutMs)) return null;
    tried.push(error.message);
  } finally {
    await endPause?.takeBack();
  }
  return stillRuns(name, tried.join('; '));
}

function stillRuns(name: string, reason: string): Failure {
  return new Failure('halt-failed', `The guest ${name} does not halt: ${reason}.`, {
    advice:
      'It still runs. Shut it down from inside, or give it more time. As a last resort, --force-halt ends it: data that it has not written is then lost.',
  });
}

function isStopped(name: string, state: string): Failure {
  return new Failure(
    'halt-failed',
    `The guest ${name} does not halt: it is stopped (${state}), and a stopped guest cannot shut down. It is left stopped.`,
    {
      advice:
        'It still runs. If it is not stopped on purpose, let it go on: the command of its monitor is cont.',
    },
  );
}

/** SIGTERM is no way: QEMU then ends at once, as if the power failed. */
async function haltWithoutQmp(
  guest: RunningGuest,
  process: ProcessIdentity,
  reason: string,
  options: HaltOptions,
  { signal }: Context,
): Promise<Failure | null> {
  const { name } = guest.definition;
  const socket = findSockets(process.pid)?.agent ?? null;
  const agent = socket === null ? null : await GuestAgent.connect(socket);
  if (agent === null) {
    if (!isAlive(process)) return null;
    return new Failure('halt-failed', `The guest ${name} cannot be told to halt: ${reason}.`, {
      advice:
        'It still runs. Shut it down from inside. Started with -qmp unix:PATH,server=on,wait=off, or by vmferry, it can be told. As a last resort, --force-halt kills it.',
    });
  }
  using connected = agent;
  signal.throwIfAborted();
  const refusal = await connected.refusalOf('guest-shutdown', { mode: 'powerdown' }, refusalMs);
  if (refusal !== null) return stillRuns(name, refusal);
  if (await isGoneWithin(process, options.timeoutMs)) return null;
  return stillRuns(name, `${notWithin(options)} after its agent was asked to`);
}

function notWithin({ timeoutMs }: HaltOptions): string {
  return `it did not shut down within ${Math.round(timeoutMs / 1000)} s`;
}

async function askAgent(halting: Halting): Promise<Outcome> {
  const { session, context, options } = halting;
  if (session.agentSocket === null) return '';
  using agent = await GuestAgent.connect(session.agentSocket);
  context.signal.throwIfAborted();
  if (agent === null) return '';
  const refusal = await agent.refusalOf('guest-shutdown', { mode: 'powerdown' }, refusalMs);
  if (refusal !== null) return refusal;
  return (await hasShutDown(halting)) ? null : `${notWithin(options)} after its agent was asked to`;
}

/** Nothing says whether a guest has seen the button: without a program that listens for it, it does nothing. */
async function pressPowerButton(halting: Halting): Promise<Outcome> {
  await halting.session.qmp.execute('system_powerdown');
  return (await hasShutDown(halting))
    ? null
    : `${notWithin(halting.options)} after its power button was pressed`;
}

/** Most guests restart on Ctrl-Alt-Del. At the moment of the restart their file systems are unmounted. */
async function pressCtrlAltDel(halting: Halting): Promise<Outcome> {
  const { qmp } = halting.session;
  const keys = ['ctrl', 'alt', 'delete'].map((data) => ({ type: 'qcode', data }));
  const isTurned = (await qmp.tryExecute('set-action', { reboot: 'shutdown' })) !== null;
  // QEMU before 6.0 has no such action: it is stopped as soon as it tells of the restart.
  if (!isTurned) qmp.onEvent('RESET', () => void qmp.execute('stop').catch(() => {}));
  if ((await qmp.tryExecute('send-key', { keys })) === null) return 'it has no keyboard for Ctrl-Alt-Del';
  const isDown = await hasShutDown(halting, isTurned ? ['SHUTDOWN'] : ['SHUTDOWN', 'RESET']);
  if (isDown) return null;
  if (isTurned) await qmp.execute('set-action', { reboot: 'reset' });
  return `${notWithin(halting.options)} after Ctrl-Alt-Del`;
}

/**
 * Waits for such an event, and then for the end of the process. A restart is not awaited unless the guest is stopped at
 * it: it runs on otherwise.
 */
async function hasShutDown(halting: Halting, events: readonly string[] = ['SHUTDOWN']): Promise<boolean> {
  const { session, process, options, outliving } = halting;
  const { qmp } = session;
  const deadlineMs = performance.now() + options.timeoutMs;
  const awaited = outliving?.endStates.includes('guest-panicked') ? [...events, 'GUEST_PANICKED'] : events;
  const isDown = (): boolean =>
    !isAlive(process) || qmp.findEvent(({ event }) => awaited.includes(event)) !== null;
  const { signal } = new AbortController();
  const seen = await poll(isDown, { timeoutMs: options.timeoutMs, intervalMs, signal });
  if (seen === null) return false;
  if (outliving !== null) {
    // It tells of the end before it has stopped, and written out all of its disks.
    const hasEnded = async () => !isAlive(process) || outliving.endStates.includes(await runState(qmp));
    const ended = await poll(hasEnded, { timeoutMs: endTimeoutMs, intervalMs, signal });
    if (ended !== null && isAlive(process)) await outliving.ask(qmp);
    return (await quit(halting)) === null;
  }
  if (await isGoneWithin(process, Math.min(lingerMs, Math.max(deadlineMs - performance.now(), intervalMs))))
    return true;
  return (await quit(halting)) === null;
}

/** For a guest that has ended while its QEMU has not. */
async function quit({ name, process, session }: Halting): Promise<Failure | null> {
  await session.qmp.tryExecute('quit');
  if (await isGoneWithin(process, endTimeoutMs)) return null;
  return stillRuns(name, 'it has shut down, but its QEMU does not end');
}

async function isGoneWithin(process: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const { signal } = new AbortController();
  return (await poll(() => !isAlive(process), { timeoutMs, intervalMs, signal })) !== null;
}
