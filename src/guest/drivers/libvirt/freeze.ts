import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { poll } from '../../../pipeline/polling.ts';
import { writeLastWill, type LastWill } from '../../../system/last-will.ts';
import { oneAtATime } from '../../../system/one-at-a-time.ts';
import type { FreezeOptions, FrozenGuest, RunningGuest } from '../../guest-driver.ts';
import { runOf, stateOf } from './identity.ts';
import { consoleLogOf } from './domain/console-log.ts';
import { hasAgent, readFrom } from './up.ts';
import type { Virsh } from './virsh.ts';
import { statSync } from 'node:fs';

/** Another backup may have frozen the guest for a moment. */
const lockTimeoutMs = 5_000;
const intervalMs = 50;
const resumeTimeoutMs = 20_000;

/** When vmferry dies. The number is of this run alone. */
const goScript = `virsh --quiet --connect "$1" resume "$2"
virsh --quiet --connect "$1" domfsthaw "$2"`;

/**
 * Has the guest write out its memory, by its agent or by its kernel (Alt-SysRq-S), and pauses it; see `FreezingDriver.freeze`. QEMU
 * then writes nothing more to its images.
 */
export async function freezeDomain(
  guest: RunningGuest,
  options: FreezeOptions,
  virsh: Virsh,
  { signal }: Context,
): Promise<FrozenGuest> {
  const { name } = guest.definition;
  const unlock = await lock(guest, signal);
  try {
    const state = await stateOf(guest, virsh);
    if (state === null) throw cannotFreeze(name, 'it no longer runs');
    if (state !== 'running')
      throw new Failure('guest-unsupported', `The guest ${name} cannot be frozen: it is ${state} already.`, {
        advice: `If no backup has paused it, let it go on: virsh resume ${runOf(guest).domainId}`,
      });
    return await freeze(guest, options, virsh, signal, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function freeze(
  guest: RunningGuest,
  options: FreezeOptions,
  virsh: Virsh,
  signal: AbortSignal,
  unlock: () => void,
): Promise<FrozenGuest> {
  const { name } = guest.definition;
  const run = String(runOf(guest).domainId);
  const { uri, environment } = virsh.host;
  const lastWill = await writeLastWill(goScript, [uri, run], environment);
  let pausedAtMs = performance.now();
  const goOn = () => letGoOn(guest, run, virsh, lastWill);
  let released: Promise<number> | null = null;
  const letGo = () =>
    (released ??= goOn()
      .then(() => performance.now() - pausedAtMs)
      .finally(unlock));
  try {
    const notSynced = await sync(guest, run, options, virsh, signal);
    signal.throwIfAborted();
    const stoppedAt = new Date();
    pausedAtMs = performance.now();
    const paused = await virsh.ask(['suspend', `--domain=${run}`]);
    if (!paused.ok || (await stateOf(guest, virsh)) !== 'paused') throw cannotFreeze(name, paused.problem);
    return { stoppedAt, notSynced, letGo, [Symbol.asyncDispose]: async () => void (await letGo()) };
  } catch (error) {
    await letGo();
    throw error;
  }
}

/** Null when everything in memory was written out; else why not, as the end of a sentence. */
async function sync(
  guest: RunningGuest,
  run: string,
  options: FreezeOptions,
  virsh: Virsh,
  signal: AbortSignal,
): Promise<string | null> {
  if (await hasAgent(guest, virsh)) {
    // Frozen file systems take no writes until domfsthaw.
    const frozen = await virsh.ask(['domfsfreeze', `--domain=${run}`], { timeoutMs: options.syncTimeoutMs });
    if (frozen.ok) return null;
  }
  return syncByKeys(run, options, virsh, signal);
}

/** The kernel says on its console when it is done. Without a log of the console that cannot be seen. */
async function syncByKeys(
  run: string,
  options: FreezeOptions,
  virsh: Virsh,
  signal: AbortSignal,
): Promise<string | null> {
  const live = await virsh.ask(['dumpxml', `--domain=${run}`]);
  const log = live.ok ? consoleLogOf(live.text) : undefined;
  const startBytes = log === undefined ? 0 : sizeOf(log);
  const keys = await virsh.ask(['send-key', `--domain=${run}`, 'KEY_LEFTALT', 'KEY_SYSRQ', 'KEY_S']);
  if (!keys.ok) return `it has no agent that answers, and no keyboard (${keys.problem})`;
  if (log === undefined) return 'it has no agent that answers';
  const done = await poll(() => readFrom(log, startBytes).includes('Emergency Sync complete'), {
    timeoutMs: Math.min(options.syncTimeoutMs, 10_000),
    intervalMs,
    signal,
  });
  return done === null ? 'it has no agent that answers, and its kernel did not say that it had' : null;
}

/** Never aborted. Throws Failure `guest-left-down` when the guest does not go on. */
async function letGoOn(guest: RunningGuest, run: string, virsh: Virsh, lastWill: LastWill): Promise<void> {
  const { signal } = new AbortController();
  const goes = await poll(
    async () => {
      const state = await stateOf(guest, virsh);
      if (state !== 'paused') return true;
      await virsh.ask(['resume', `--domain=${run}`]);
      return false;
    },
    { timeoutMs: resumeTimeoutMs, intervalMs, signal },
  );
  await virsh.ask(['domfsthaw', `--domain=${run}`]);
  if (goes === null)
    // The last will is not revoked: it tries once more when this process ends.
    throw new Failure(
      'guest-left-down',
      `The guest ${guest.definition.name} was told to go on, and is still paused.`,
      {
        advice: `Let it go on by hand: virsh resume ${run}`,
      },
    );
  await lastWill.revoke();
}

/** Only one vmferry at a time pauses the guest: another one would let it go on too early. */
async function lock(guest: RunningGuest, signal: AbortSignal): Promise<() => void> {
  signal.throwIfAborted();
  let unlock = (): void => undefined;
  const held = new Promise<void>((resolve) => (unlock = resolve));
  const isLocked = await new Promise<boolean>((resolve, reject) => {
    oneAtATime(`libvirt ${guest.identity.id}`, lockTimeoutMs, () => {
      resolve(true);
      return held;
    }).then(resolve, reject);
  });
  if (isLocked) return unlock;
  throw new Failure('guest-unsupported', `Another backup has paused the guest ${guest.definition.name}.`, {
    advice: 'Try again when that backup has ended.',
  });
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

function cannotFreeze(name: string, reason: string): Failure {
  return new Failure('guest-unsupported', `The guest ${name} cannot be frozen: ${reason}.`, {
    advice: 'Use --halt: the guest is then halted, backed up and started again.',
  });
}
