import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { descendantsOf, isAlive, signalProcess, type ProcessIdentity } from '../../../system/proc-process.ts';
import type { HaltOptions, RunningGuest } from '../../guest-driver.ts';
import { processOf } from '../process-identity.ts';
import type { Mconsole } from './mconsole/mconsole.ts';
import { writableDiskMounts } from './mounts.ts';
import { pause, poll } from '../../../pipeline/polling.ts';
import type { UmlHost } from './host.ts';
import { UmlStopper } from './stop.ts';

const processIntervalMs = 100;
const consoleIntervalMs = 300;
/** A guest that has been up for longer and does not handle Ctrl-Alt-Del never will. */
const bootSeconds = 60;
/** The most time that programs get to end. If none has ended for `programsQuietMs`, the wait is over. */
const programsTimeoutMs = 10_000;
const programsQuietMs = 1_000;
/** A killed process ends at once, or hangs in the host's kernel. */
const killTimeoutMs = 10_000;

interface Halting {
  name: string;
  mconsole: Mconsole;
  options: HaltOptions;
  context: Context;
  /** Never aborted: for steps that must not be left half done. */
  patient: AbortSignal;
  processes: GuestProcesses;
}

interface GuestProcesses {
  kernel: ProcessIdentity;
  /** The processes that the kernel's process started, as last seen. */
  others: readonly ProcessIdentity[];
}

/** A step's result: null when all processes of the guest are gone, otherwise why it failed, for people. */
type Outcome = string | null;

/**
 * Halts a User Mode Linux guest and returns when all its processes are gone. It tries in this order: Ctrl-Alt-Del, on
 * which the guest shuts itself down; orders to its kernel, which ends its programs, writes out its file systems,
 * remounts them read-only, and halts; and, only if asked for, to kill it. Throws Failure `halt-failed`; the guest then
 * still runs. When aborted, it finishes the current step, so that the caller knows whether the guest is gone.
 */
export async function haltUml(
  guest: RunningGuest,
  options: HaltOptions,
  host: UmlHost,
  context: Context,
): Promise<void> {
  const kernel = processOf(guest);
  if (kernel === null) return;
  const { name } = guest.definition;
  const processes: GuestProcesses = { kernel, others: descendantsOf(kernel.pid) };
  await using stopper = await takeStopper(name, kernel, host, context.signal);
  const refusal =
    stopper === null
      ? isStopped(name, 'Wait until the backup that stopped it has ended.')
      : await haltInOrder(name, processes, stopper, options, context);
  if (refusal === null) return;
  if (!options.force) throw refusal;
  context.signal.throwIfAborted();
  if (!(await killAll(processes)))
    throw new Failure(
      'halt-failed',
      `${refusal.message} It was killed, but has not ended (a process that waits for a disk cannot end).`,
      { cause: refusal },
    );
}

/** Null when the guest is gone; else Failure `halt-failed`. */
async function haltInOrder(
  name: string,
  processes: GuestProcesses,
  stopper: UmlStopper,
  options: HaltOptions,
  context: Context,
): Promise<Failure | null> {
  const { signal } = context;
  const said = await stopper.stop(signal);
  if (said === 'stopped-already')
    return isStopped(name, `If that is not on purpose, let it go on: uml_mconsole ${name} go`);
  // A kernel that does not answer may be starting, and answer later.
  if (said === 'stopped') await stopper.go();

  const patient = new AbortController().signal;
  const halting: Halting = { name, mconsole: stopper.mconsole, options, context, patient, processes };
  const tried: string[] = [];
  for (const step of [pressCtrlAltDel, haltFromKernel]) {
    signal.throwIfAborted();
    const outcome = await step(halting);
    if (outcome === null) return null;
    tried.push(outcome);
  }
  return new Failure('halt-failed', `The guest ${name} does not halt: ${tried.join('; ')}.`, {
    advice:
      'It still runs. Shut it down from inside, or give it more time. As a last resort, --force-halt kills it: data that it has not written is then lost.',
  });
}

/** Null when another vmferry has stopped the guest. */
async function takeStopper(
  name: string,
  kernel: ProcessIdentity,
  host: UmlHost,
  signal: AbortSignal,
): Promise<UmlStopper | null> {
  try {
    return await UmlStopper.take(name, kernel, host, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure && error.code === 'guest-unsupported') return null;
    throw error;
  }
}

function isStopped(name: string, advice: string): Failure {
  return new Failure(
    'halt-failed',
    `The guest ${name} does not halt: it is stopped, and a stopped guest cannot shut down. It is left stopped.`,
    { advice },
  );
}

async function pressCtrlAltDel(halting: Halting): Promise<Outcome> {
  const { mconsole, options, context, patient, name, processes } = halting;
  const trapped = await poll(
    async () => {
      const setting = await mconsole.readProc('sys/kernel/ctrl-alt-del');
      const uptime = await mconsole.readProc('uptime');
      if (setting === '0') return 'yes';
      return setting === null || Number.parseFloat(uptime ?? '') > bootSeconds ? 'no' : null;
    },
    { timeoutMs: options.timeoutMs, intervalMs: consoleIntervalMs, signal: context.signal },
  );
  // Until an init has asked to handle the keys, the kernel restarts at once and writes nothing out.
  if (trapped !== 'yes') return 'nothing in it handles Ctrl-Alt-Del';

  context.signal.throwIfAborted();
  const bootId = await mconsole.bootId();
  if ((await mconsole.ask('cad')) === null) return 'its console refused Ctrl-Alt-Del';
  let nextLook = performance.now();
  const outcome = await poll(
    async () => {
      if (isGone(processes)) return 'gone';
      if (performance.now() < nextLook) return null;
      nextLook = performance.now() + consoleIntervalMs;
      const now = await mconsole.bootId();
      return now !== null && now !== bootId ? 'rebooted' : null;
    },
    { timeoutMs: options.timeoutMs, intervalMs: processIntervalMs, signal: patient },
  );
  if (outcome === 'gone') return null;
  if (outcome === null)
    return `it did not shut down within ${Math.round(options.timeoutMs / 1000)} s after Ctrl-Alt-Del`;
  const message = `${name} rebooted on Ctrl-Alt-Del; its kernel halts it now.`;
  context.report({ type: 'warning', code: 'guest-rebooted', message });
  return 'it rebooted on Ctrl-Alt-Del';
}

/** Uses the keys of the kernel's Documentation/admin-guide/sysrq.rst. */
async function haltFromKernel(halting: Halting): Promise<Outcome> {
  const { mconsole, options, patient, processes } = halting;
  const keys = await mconsole.readProc('sys/kernel/sysrq');
  if (keys !== null && !allowsRemount(Number(keys))) return 'its kernel has sysrq switched off';
  await mconsole.ask('sysrq', 's');
  // Programs are told to end, then killed: none may still write when the file systems become read-only.
  await mconsole.ask('sysrq', 'e');
  await waitForPrograms(halting);
  await mconsole.ask('sysrq', 'i');
  await mconsole.ask('sysrq', 's');
  if ((await mconsole.ask('sysrq', 'u')) === null) return 'its kernel does not answer';

  let writable: string[] | null = null;
  const readOnly = await poll(
    async () => {
      const mounts = await mconsole.readProc('mounts');
      const filesystems = await mconsole.readProc('filesystems');
      writable = mounts === null || filesystems === null ? null : writableDiskMounts(mounts, filesystems);
      return writable?.length === 0;
    },
    { timeoutMs: options.timeoutMs, intervalMs: processIntervalMs, signal: patient },
  );
  if (readOnly === null) return `its kernel could not remount ${describeMounts(writable)} read-only`;
  await mconsole.ask('halt');
  const gone = await poll(() => isGone(processes), {
    timeoutMs: options.timeoutMs,
    intervalMs: processIntervalMs,
    signal: patient,
  });
  return gone === null ? 'its kernel did not halt' : null;
}

/** The bits of kernel.sysrq: 1 alone means all; 32, remounting read-only. Debian's guests have 438. */
function allowsRemount(keys: number): boolean {
  return keys === 1 || (keys & 32) !== 0;
}

function describeMounts(mounts: readonly string[] | null): string {
  return mounts === null ? 'its file systems' : mounts.join(', ');
}

/** Waits until no more programs end. The fourth word of /proc/loadavg has their number. */
async function waitForPrograms({ mconsole, options, patient }: Halting): Promise<void> {
  const deadline = performance.now() + Math.min(options.timeoutMs, programsTimeoutMs);
  let quietSince = performance.now();
  let last: string | undefined;
  while (performance.now() < deadline && performance.now() - quietSince < programsQuietMs) {
    const count = (await mconsole.readProc('loadavg'))?.split(' ')[3]?.split('/')[1];
    if (count !== last) quietSince = performance.now();
    last = count;
    await pause(processIntervalMs, patient);
  }
}

/** Kills all processes of the guest. Returns whether all are gone. */
async function killAll(processes: GuestProcesses): Promise<boolean> {
  const { kernel } = processes;
  // The kernel is stopped first, so that it starts no process after they are listed.
  if (isAlive(kernel)) signalProcess(kernel.pid, 'SIGSTOP');
  processes.others = [...descendantsOf(kernel.pid), ...processes.others];
  for (const identity of [kernel, ...processes.others])
    if (isAlive(identity)) signalProcess(identity.pid, 'SIGKILL');
  const { signal } = new AbortController();
  const limits = { timeoutMs: killTimeoutMs, intervalMs: processIntervalMs, signal };
  return (await poll(() => isGone(processes), limits)) !== null;
}

/**
 * Whether the kernel and all its processes are gone. The processes are noted while the kernel lives: later they cannot
 * be found.
 */
function isGone(processes: GuestProcesses): boolean {
  const { kernel } = processes;
  if (isAlive(kernel)) {
    processes.others = descendantsOf(kernel.pid);
    return false;
  }
  return !processes.others.some(isAlive);
}
