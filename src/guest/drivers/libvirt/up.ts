import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { Failure } from '../../../failure.ts';
import { poll } from '../../../pipeline/polling.ts';
import type { RunningGuest } from '../../guest-driver.ts';
import { runOf, stateOf } from './identity.ts';
import type { Virsh } from './virsh.ts';

const intervalMs = 250;
/** A domain's state is asked for less often than its process and its console are looked at. */
const stateIntervalMs = 1_500;
/** A guest that has nothing to do for so long waits for its users, and not for a disk. */
const idleMs = 3_000;
const idleShare = 0.3;
/** The least time that a guest must have run. */
const shortestMs = 1_000;
/** A guest that is busy and says nothing is up when it has run for this share of the time that it may take. */
const patientShare = 0.6;
const MOST_READ_BYTES = 65_536;

/** The first words of a guest's own programs on its console. */
const userspace = /\blogin:|\bsystemd\[1\]|\bINIT: version|\bWelcome to /;
const panic = /Kernel panic - not syncing[^\r\n]*/;

/**
 * Waits until the guest is up: its agent answers, its console shows that its own programs run, or it has become idle. A guest
 * that is busy all the time counts as up when it has run for a while. Throws Failure `start-failed` when it ends or its kernel panics.
 * @param logStartBytes the size of the console's log before the start
 */
export async function waitUntilUp(
  guest: RunningGuest,
  options: { consoleLog: string; logStartBytes: number; timeoutMs: number },
  virsh: Virsh,
  signal: AbortSignal,
): Promise<void> {
  const { name } = guest.definition;
  const startedMs = performance.now();
  const idle = new IdleWatch(guest.identity.pid);
  let nextStateMs = 0;
  const up = await poll(
    async () => {
      const nowMs = performance.now();
      const log = readFrom(options.consoleLog, options.logStartBytes);
      const words = panic.exec(log)?.[0];
      if (words !== undefined) throw new Failure('start-failed', `The kernel of ${name} stopped: ${words}.`);
      const isIdle = idle.isIdle();
      if (nowMs < nextStateMs && !hasEnded(guest)) return false;
      nextStateMs = nowMs + stateIntervalMs;
      const state = await stateOf(guest, virsh);
      if (state === null || ['shut off', 'crashed', 'ending', 'in shutdown'].includes(state))
        throw new Failure('start-failed', `The guest ${name} ended while it was starting.`);
      if (state !== 'running' && state !== 'idle') return false;
      const ranMs = nowMs - startedMs;
      return (
        ranMs >= shortestMs &&
        (userspace.test(log) ||
          isIdle ||
          ranMs > options.timeoutMs * patientShare ||
          (await hasAgent(guest, virsh)))
      );
    },
    { timeoutMs: options.timeoutMs, intervalMs, signal },
  );
  if (up !== null) return;
  throw new Failure(
    'start-failed',
    `The guest ${name} was not up within ${Math.round(options.timeoutMs / 1000)} s and was ended.`,
  );
}

/** Whether the guest's agent answers. */
export async function hasAgent({ definition, identity }: RunningGuest, virsh: Virsh): Promise<boolean> {
  if (definition.native?.text.includes('org.qemu.guest_agent.0') !== true) return false;
  const { uuid } = runOf({ identity });
  const { ok } = await virsh.ask(
    ['qemu-agent-command', `--domain=${uuid}`, '--timeout=2', '{"execute":"guest-ping"}'],
    { timeoutMs: 5_000 },
  );
  return ok;
}

function hasEnded({ identity }: RunningGuest): boolean {
  return identity.pid !== undefined && threadTimes(identity.pid) === null;
}

/** The end of the text that a file has got since it had this size; empty when there is no such file. */
export function readFrom(path: string, startBytes: number): string {
  try {
    const { size } = statSync(path);
    const from = Math.max(startBytes, size - MOST_READ_BYTES);
    const fd = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(Math.max(0, size - from));
      return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, from));
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}

/** Sees whether a process has had little to do for a while. On a busy machine, its waiting for a processor counts as work. */
class IdleWatch {
  readonly #pid: number | undefined;
  #sinceMs = performance.now();
  #sinceNs = 0;

  constructor(pid: number | undefined) {
    this.#pid = pid;
    this.#sinceNs = pid === undefined ? 0 : (threadTimes(pid) ?? 0);
  }

  isIdle(): boolean {
    const busyNs = this.#pid === undefined ? null : threadTimes(this.#pid);
    const nowMs = performance.now();
    const passedMs = nowMs - this.#sinceMs;
    if (busyNs === null || passedMs < idleMs) return false;
    const isIdle = (busyNs - this.#sinceNs) / 1e6 < passedMs * idleShare;
    this.#sinceMs = nowMs;
    this.#sinceNs = busyNs;
    return isIdle;
  }
}

/** Nanoseconds that the threads of a process have run or have waited for a processor (schedstat of proc(5)); null when it is gone. */
function threadTimes(pid: number): number | null {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    return threads.reduce((sum, thread) => sum + threadTime(pid, thread), 0);
  } catch {
    return null;
  }
}

function threadTime(pid: number, thread: string): number {
  try {
    const [ran = 0, waited = 0] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')
      .split(' ')
      .map(Number);
    return ran + waited;
  } catch {
    return 0;
  }
}
