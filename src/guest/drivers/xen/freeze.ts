import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { forgetCached } from '../../../image/source/forget-cached.ts';
import { poll } from '../../../pipeline/polling.ts';
import { writeLastWill, type LastWill } from '../../../system/last-will.ts';
import { makeDirectories } from '../../../system/make-directories.ts';
import type { FreezeOptions, FrozenGuest, RunningGuest } from '../../guest-driver.ts';
import { lockPause } from '../lock-pause.ts';
import { activityOf, servedDisks } from './host/devices.ts';
import { stateOf } from './host/domains.ts';
import type { XenHost } from './host/host.ts';
import { domidOfRun } from './identity.ts';
import { syncXen } from './sync.ts';
import { complaintOf, xl } from './host/xl.ts';

/** After the pause, requests that the guest had given to the control domain are still carried out. */
const quietMs = 100;
const settleTimeoutMs = 30_000;

/**
 * When vmferry dies, the domain goes on. This is repeated for a while, because the order to pause may still be on its way. xl
 * refuses to let a domain go on that is not paused.
 */
const goScript = `n=0
while [ $n -lt 20 ]; do
  xl unpause "$1" && exit 0
  n=$((n + 1)); sleep 0.5
done`;

/** Has the guest's kernel write out its memory, pauses the domain, and waits until its disks are quiet. See `FreezingDriver.freeze`. */
export async function freezeXen(
  guest: RunningGuest,
  options: FreezeOptions,
  host: XenHost,
  { signal }: Context,
): Promise<FrozenGuest> {
  const { name } = guest.definition;
  const domid = domidOfRun(guest);
  const state = domid === null ? null : await stateOf(host, domid, signal);
  if (domid === null || state === null) throw cannotFreeze(name, 'it no longer runs');
  const lock = await lockAgainstOthers(name, host, signal);
  try {
    if ((await stateOf(host, domid, signal))?.state.includes('p') !== false)
      throw new Failure('guest-unsupported', `The guest ${name} is paused already, by something else.`, {
        advice: `If that is not on purpose, let it go on: xl unpause ${name}`,
      });
    const notSynced = await syncXen(host, guest, domid, options.syncTimeoutMs, signal);
    const lastWill = await writeLastWill(goScript, [String(domid)], {
      ...host.environment,
      PATH: pathFor(host),
    });
    const pausing = new PausedDomain(host, domid, name, lock, lastWill);
    try {
      await pausing.pause();
      await awaitQuiet(guest, domid, signal);
      // The guest writes to a device past the control domain's page cache, which may have older blocks.
      for (const { path } of guest.definition.disks) forgetCached(path);
    } catch (error) {
      await pausing.letGo();
      throw error;
    }
    return {
      stoppedAt: pausing.pausedAt,
      notSynced,
      letGo: () => pausing.letGo(),
      [Symbol.asyncDispose]: async () => void (await pausing.letGo()),
    };
  } catch (error) {
    await lock.close().catch(() => undefined);
    throw error;
  }
}

class PausedDomain {
  pausedAt = new Date();
  #pausedAtMs = 0;
  #letGo: Promise<number> | null = null;
  readonly #host: XenHost;
  readonly #domid: number;
  readonly #name: string;
  readonly #lock: FileHandle;
  readonly #lastWill: LastWill;

  constructor(host: XenHost, domid: number, name: string, lock: FileHandle, lastWill: LastWill) {
    this.#host = host;
    this.#domid = domid;
    this.#name = name;
    this.#lock = lock;
    this.#lastWill = lastWill;
  }

  async pause(): Promise<void> {
    this.pausedAt = new Date();
    this.#pausedAtMs = performance.now();
    const result = await xl(this.#host, ['pause', String(this.#domid)], new AbortController().signal);
    if (result.exitStatus !== 0) throw cannotFreeze(this.#name, `xl pause failed (${complaintOf(result)})`);
  }

  /** Once. The last will stays in force if the domain does not go on. */
  letGo(): Promise<number> {
    return (this.#letGo ??= this.#release());
  }

  async #release(): Promise<number> {
    const { signal } = new AbortController();
    try {
      await xl(this.#host, ['unpause', String(this.#domid)], signal);
      const state = await stateOf(this.#host, this.#domid, signal);
      if (state?.state.includes('p') === true)
        throw new Failure(
          'guest-left-down',
          `The guest ${this.#name} was told to go on, and is still paused.`,
          {
            advice: `Let it go on by hand: xl unpause ${this.#name}`,
          },
        );
    } finally {
      await this.#lock.close();
    }
    const stoodStillMs = performance.now() - this.#pausedAtMs;
    await this.#lastWill.revoke();
    return stoodStillMs;
  }
}

async function lockAgainstOthers(name: string, host: XenHost, signal: AbortSignal): Promise<FileHandle> {
  await makeDirectories(host.runDirectory, 0o700);
  const file = await open(
    join(host.runDirectory, `${name}.lock`),
    constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW,
    0o600,
  );
  await lockPause(file, name, signal);
  return file;
}

async function awaitQuiet(
  { definition: { name } }: RunningGuest,
  domid: number,
  signal: AbortSignal,
): Promise<void> {
  const look = () => servedDisks(domid).map(activityOf);
  let before = look();
  let sinceMs = performance.now();
  const quiet = await poll(
    () => {
      const now = look();
      const isSame = now.every(({ counts, isBusy }, index) => !isBusy && counts === before[index]?.counts);
      if (!isSame) sinceMs = performance.now();
      before = now;
      return performance.now() - sinceMs >= quietMs;
    },
    { timeoutMs: settleTimeoutMs, intervalMs: quietMs / 4, signal },
  );
  if (quiet === null) throw cannotFreeze(name, 'its disks are busy although it was paused');
}

function pathFor({ environment }: XenHost): string {
  return `${environment['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
}

function cannotFreeze(name: string, reason: string): Failure {
  return new Failure('guest-unsupported', `The guest ${name} cannot be frozen: ${reason}.`, {
    advice: 'Use --halt: the guest is then halted, backed up and started again.',
  });
}
