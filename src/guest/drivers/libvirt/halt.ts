import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { poll } from '../../../pipeline/polling.ts';
import { isAlive } from '../../../system/proc-process.ts';
import type { HaltOptions, RunningGuest } from '../../guest-driver.ts';
import { runOf, stateOf } from './identity.ts';
import { hasAgent } from './up.ts';
import type { Virsh } from './virsh.ts';

const intervalMs = 200;
/** A guest without an ACPI daemon shows no reaction to its power button. */
const reactionMs = 6_000;
const pressAgainMs = 20_000;
/** A guest that has nothing to do uses less than this share of a processor. */
const idleShare = 0.3;
/** QEMU ends within this time when it is killed, or hangs in the host's kernel. */
const killTimeoutMs = 20_000;

interface Halting {
  guest: RunningGuest;
  name: string;
  /** libvirt's number for this run: no other run ever has it. */
  run: string;
  options: HaltOptions;
  virsh: Virsh;
  /** Never aborted: for what was begun. */
  patient: AbortSignal;
}

/** Null when the guest is gone; else why the step did not halt it, for people. */
type Outcome = string | null;

/**
 * Halts a domain and returns when it and its process are gone. Tries in this order: its agent, the power button (ACPI),
 * Ctrl-Alt-Del; each is waited for. Only if asked for, it is killed. Throws Failure `halt-failed`; the guest then still runs. When
 * aborted, it finishes the current step.
 */
export async function haltDomain(
  guest: RunningGuest,
  options: HaltOptions,
  virsh: Virsh,
  { signal }: Context,
): Promise<void> {
  const { name } = guest.definition;
  const state = await stateOf(guest, virsh);
  if (state === null) return;
  signal.throwIfAborted();
  const run = String(runOf(guest).domainId);
  const patient = new AbortController().signal;
  const halting: Halting = { guest, name, run, options, virsh, patient };
  const refusal = state === 'paused' ? isPaused(name, run) : await haltInOrder(halting, signal);
  if (refusal === null) return;
  if (!options.force) throw refusal;
  signal.throwIfAborted();
  await virsh.ask(['destroy', `--domain=${run}`]);
  if (await waitUntilGone(halting, killTimeoutMs)) return;
  throw new Failure(
    'halt-failed',
    `${refusal.message} It was killed, but has not ended (a process that waits for a disk cannot end).`,
    { cause: refusal },
  );
}

async function haltInOrder(halting: Halting, signal: AbortSignal): Promise<Failure | null> {
  const tried: string[] = [];
  for (const step of [askAgent, pressPowerButton, pressCtrlAltDel]) {
    signal.throwIfAborted();
    const outcome = await step(halting);
    if (outcome === null) return null;
    tried.push(outcome);
  }
  signal.throwIfAborted();
  return new Failure('halt-failed', `The guest ${halting.name} does not halt: ${tried.join('; ')}.`, {
    advice:
      'It still runs. Shut it down from inside, or give it more time. As a last resort, --force-halt kills it: data that it has not written is then lost.',
  });
}

async function askAgent(halting: Halting): Promise<Outcome> {
  const { guest, virsh, run, options } = halting;
  if (!(await hasAgent(guest, virsh))) return 'it has no agent that answers';
  const { ok, problem } = await virsh.ask(['shutdown', `--domain=${run}`, '--mode=agent']);
  if (!ok) return `its agent refused (${problem})`;
  return (await waitUntilGone(halting, options.timeoutMs))
    ? null
    : 'it did not shut down when its agent was asked';
}

/** Nothing says whether a guest listens to the button. One that does becomes busy. */
async function pressPowerButton(halting: Halting): Promise<Outcome> {
  const { virsh, run, options } = halting;
  const before = await readActivity(halting);
  const { ok, problem } = await virsh.ask(['shutdown', `--domain=${run}`, '--mode=acpi']);
  if (!ok) return `its power button could not be pressed (${problem})`;
  const firstMs = Math.min(options.timeoutMs, reactionMs);
  if (await waitUntilGone(halting, firstMs)) return null;
  const after = await readActivity(halting);
  const ignored = 'it did not react to its power button';
  if (before === null || after === null) return ignored;
  const isIdle = after.cpuSeconds - before.cpuSeconds < (firstMs / 1000) * idleShare;
  if (isIdle && after.writes === before.writes) return ignored;
  return (await waitAndPressAgain(halting, options.timeoutMs - firstMs))
    ? null
    : `it did not shut down within ${seconds(options)} s after its power button was pressed`;
}

async function pressCtrlAltDel(halting: Halting): Promise<Outcome> {
  const { virsh, run, options } = halting;
  // On these keys most systems start again; this one is to end then.
  const onReboot = (action: string) =>
    virsh.ask(['set-lifecycle-action', `--domain=${run}`, '--type=reboot', `--action=${action}`, '--live']);
  const ends = await onReboot('destroy');
  const keys = await virsh.ask(['send-key', `--domain=${run}`, 'KEY_LEFTCTRL', 'KEY_LEFTALT', 'KEY_DELETE']);
  if (!keys.ok) return `Ctrl-Alt-Del could not be sent (${keys.problem})`;
  if (await waitAndPressAgain(halting, options.timeoutMs)) return null;
  if (ends.ok) await onReboot('restart');
  return `it did not shut down within ${seconds(options)} s after Ctrl-Alt-Del`;
}

/** Presses the power button now and then: a guest that was still booting did not listen to it. */
async function waitAndPressAgain(halting: Halting, timeoutMs: number): Promise<boolean> {
  const { virsh, run } = halting;
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const leftMs = Math.max(0, deadlineMs - performance.now());
    if (await waitUntilGone(halting, Math.min(leftMs, pressAgainMs))) return true;
    if (performance.now() >= deadlineMs) return false;
    await virsh.ask(['shutdown', `--domain=${run}`, '--mode=acpi']);
  }
}

async function waitUntilGone({ guest, virsh, patient }: Halting, timeoutMs: number): Promise<boolean> {
  const { process } = runOf(guest);
  const gone = await poll(
    async () => {
      // Cheap: as long as the process lives, libvirt need not be asked.
      if (process !== null && isAlive(process)) return false;
      return (await stateOf(guest, virsh)) === null;
    },
    { timeoutMs, intervalMs, signal: patient },
  );
  return gone !== null;
}

async function readActivity({ virsh, run }: Halting): Promise<{ cpuSeconds: number; writes: number } | null> {
  const { ok, text } = await virsh.ask(['domstats', run, '--cpu-total', '--block']);
  if (!ok) return null;
  const cpu = /cpu\.time=(\d+)/.exec(text)?.[1];
  const writes = [...text.matchAll(/wr\.reqs=(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  return { cpuSeconds: Number(cpu ?? 0) / 1e9, writes };
}

function isPaused(name: string, run: string): Failure {
  return new Failure(
    'halt-failed',
    `The guest ${name} does not halt: it is paused, and a paused guest cannot shut down. It still runs.`,
    { advice: `It still runs. If no backup has paused it, let it go on: virsh resume ${run}` },
  );
}

function seconds({ timeoutMs }: HaltOptions): number {
  return Math.round(timeoutMs / 1000);
}
