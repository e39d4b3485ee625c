import { performance } from 'node:perf_hooks';
import { constants } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { errorCode } from '../../../system/error-code.ts';
import { isAlive, readProcess, type ProcessIdentity } from '../../../system/proc-process.ts';
import { writeLastWill, type LastWill } from '../../../system/last-will.ts';
import { tryLock } from '../../../system/native.ts';
import type { GuestDefinition } from '../../definition.ts';
import type { FreezeOptions, FrozenGuest, RunningGuest } from '../../guest-driver.ts';
import { Mconsole } from './mconsole.ts';
import { pause, poll } from '../../../pipeline/polling.ts';
import { pidFilePath, socketPath, type UmlHost } from './host.ts';
import { syncUml } from './sync.ts';

/** Another backup of the guest may have stopped it for a moment. */
const stopTimeoutMs = 5_000;
const stopIntervalMs = 50;
const goTimeoutMs = 20_000;
/** A file's time of change moves on with the host's clock tick, 10 ms at most. */
const settleMs = 15;
const settleTimeoutMs = 10_000;

/**
 * Should vmferry die, the guest is told to go on; again and again for a while, since the word to stop may still be on
 * its way to it. Only a guest that is stopped accepts that.
 */
const goScript = `n=0
while [ $n -lt 50 ]; do
  timeout 2 uml_mconsole "$1" go && exit 0
  n=$((n + 1)); sleep 0.2
done`;

/**
 * Has a User Mode Linux guest write out what it has in memory, and stops it by its mconsole; see
 * `FreezingDriver.freeze`. When it answers, what the guest's kernel had handed to its helper for input and output is
 * in the images, too.
 */
export async function freezeUml(
  guest: RunningGuest,
  options: FreezeOptions,
  host: UmlHost,
  context: Context,
): Promise<FrozenGuest> {
  const { definition } = guest;
  const socket = socketPath(host, definition.name);
  const patient = new AbortController().signal;
  // Only whole exchanges: whether the guest was stopped must be known.
  const mconsole = new Mconsole(socket, host.environment, patient);
  const identity = readProcess(guest.pid);
  if (identity === null) throw cannotStop(definition.name, 'it does not run any more');
  const lock = await lockAgainstOthers(definition.name, host, context.signal);
  const lastWill = await writeLastWill(goScript, [socket], host.environment).catch(async (error: unknown) => {
    await lock.close();
    throw error;
  });
  const stopped = new StoppedUml(definition.name, { process: identity, mconsole, lock, lastWill });
  try {
    // A stopped guest can hang for ever when it is asked anything but to go on: its kernel may switch to another
    // program in the middle of the answer. So whether somebody has stopped it is found out before the questions.
    await stopped.stop(context.signal);
    await stopped.go();
    stopped.notSynced = await syncUml(mconsole, options.syncTimeoutMs, context.signal);
    await stopped.stop(context.signal);
    await awaitSettled(definition, context.signal);
    return stopped;
  } catch (error) {
    await stopped.letGo();
    throw error;
  }
}

/** One vmferry at a time asks the guest, and stops it. The lock is on a file that is there as long as the guest runs. */
async function lockAgainstOthers(name: string, host: UmlHost, signal: AbortSignal): Promise<FileHandle> {
  const path = pidFilePath(host, name);
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      throw cannotStop(name, `its file ${path} cannot be locked (${errorCode(error)})`);
    },
  );
  try {
    const locked = await poll(() => tryLock(file.fd), {
      timeoutMs: stopTimeoutMs,
      intervalMs: stopIntervalMs,
      signal,
    });
    if (locked) return file;
    throw new Failure('guest-unsupported', `Another backup has stopped the guest ${name}.`, {
      advice: 'Try again when that backup has ended.',
    });
  } catch (error) {
    await file.close();
    throw error;
  }
}

interface StoppingMeans {
  process: ProcessIdentity;
  mconsole: Mconsole;
  /** Closed when the guest goes on. */
  lock: FileHandle;
  lastWill: LastWill;
}

class StoppedUml implements FrozenGuest {
  notSynced: string | null = null;
  stoppedAt = new Date();
  readonly #name: string;
  readonly #means: StoppingMeans;
  #mayBeStopped = false;
  #stoppedMs = 0;
  #released: Promise<number> | null = null;

  constructor(name: string, means: StoppingMeans) {
    this.#name = name;
    this.#means = means;
  }

  async stop(signal: AbortSignal): Promise<void> {
    const answer = await poll(
      async () => {
        this.stoppedAt = new Date();
        this.#stoppedMs = performance.now();
        const said = await this.#means.mconsole.stop();
        // One that others have stopped is not ours to let go on.
        this.#mayBeStopped = said !== 'stopped-already';
        return this.#mayBeStopped && said;
      },
      { timeoutMs: stopTimeoutMs, intervalMs: stopIntervalMs, signal },
    );
    if (answer === 'stopped') return;
    if (answer === null)
      throw new Failure(
        'guest-unsupported',
        `The guest ${this.#name} was already stopped by somebody else.`,
        {
          advice: `Where that is not on purpose, let it go on: uml_mconsole ${this.#name} go`,
        },
      );
    throw cannotStop(this.#name, 'its management console does not answer');
  }

  letGo(): Promise<number> {
    return (this.#released ??= this.#release());
  }

  async #release(): Promise<number> {
    try {
      await this.go();
    } finally {
      await this.#means.lock.close();
    }
    const stoodStillMs = performance.now() - this.#stoppedMs;
    await this.#means.lastWill.revoke();
    return stoodStillMs;
  }

  async go(): Promise<void> {
    if (!this.#mayBeStopped) return;
    const { signal } = new AbortController();
    const going = await poll(async () => (await this.#means.mconsole.go()) || !isAlive(this.#means.process), {
      timeoutMs: goTimeoutMs,
      intervalMs: stopIntervalMs,
      signal,
    });
    // The last will stays: it tries once more when this process ends.
    if (going === null)
      throw new Failure('guest-left-down', `The guest ${this.#name} does not answer when told to go on.`, {
        advice: `It may still be stopped. Try it by hand: uml_mconsole ${this.#name} go`,
      });
    this.#mayBeStopped = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.letGo();
  }
}

/** Waits until nothing has written to the images for long enough that the next write would show. */
async function awaitSettled({ name, disks }: GuestDefinition, signal: AbortSignal): Promise<void> {
  const look = () => Promise.all(disks.map(async ({ path }) => (await stat(path)).mtimeMs));
  const deadlineMs = Date.now() + settleTimeoutMs;
  let before = await look();
  while (before.some((changedMs) => Date.now() - changedMs < settleMs)) {
    await pause(settleMs, signal);
    const now = await look();
    // Also where a clock was set back, and the last change lies in the future.
    if (now.every((changedMs, index) => changedMs === before[index])) return;
    if (Date.now() > deadlineMs) throw cannotStop(name, 'its images change although it was stopped');
    before = now;
  }
}

function cannotStop(name: string, reason: string): Failure {
  return new Failure('guest-unsupported', `The guest ${name} cannot be made to stand still: ${reason}.`, {
    advice: 'With --halt it is halted, backed up and started again instead.',
  });
}
