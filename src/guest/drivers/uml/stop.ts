import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { Failure } from '../../../failure.ts';
import { poll } from '../../../pipeline/polling.ts';
import { errorCode } from '../../../system/error-code.ts';
import { writeLastWill, type LastWill } from '../../../system/last-will.ts';
import { tryLock } from '../../../system/native.ts';
import { isAlive, type ProcessIdentity } from '../../../system/proc-process.ts';
import { pidFilePath, socketPath, type UmlHost } from './host.ts';
import { Mconsole, type StopAnswer } from './mconsole.ts';

/** Another backup may have stopped the guest for a moment. */
const stopTimeoutMs = 5_000;
const stopIntervalMs = 50;
const goTimeoutMs = 20_000;

/**
 * When vmferry dies, the guest is told to go on; this is repeated for a while, because the order to stop may still be
 * on its way. Only a stopped guest accepts that.
 */
const goScript = `n=0
while [ $n -lt 50 ]; do
  timeout 2 uml_mconsole "$1" go && exit 0
  n=$((n + 1)); sleep 0.2
done`;

/**
 * Stops a User Mode Linux guest and lets it go on. It locks the guest: only one vmferry at a time stops it or asks it
 * questions. A stopped guest can hang for ever when it is asked anything but to stop or to go on, because its kernel may
 * switch to another program in the middle of the answer. So ask it only when it is certainly not stopped.
 */
export class UmlStopper implements AsyncDisposable {
  /** When the guest was stopped last. */
  stoppedAt = new Date();
  readonly mconsole: Mconsole;
  readonly #name: string;
  readonly #kernel: ProcessIdentity;
  readonly #lock: FileHandle;
  readonly #lastWill: LastWill;
  #mayBeStopped = false;
  #stoppedMs = 0;

  private constructor(
    name: string,
    kernel: ProcessIdentity,
    mconsole: Mconsole,
    lock: FileHandle,
    lastWill: LastWill,
  ) {
    this.#name = name;
    this.#kernel = kernel;
    this.mconsole = mconsole;
    this.#lock = lock;
    this.#lastWill = lastWill;
  }

  /** Throws Failure `guest-unsupported` when another vmferry keeps the guest for long, or when it cannot be locked. */
  static async take(
    name: string,
    kernel: ProcessIdentity,
    host: UmlHost,
    signal: AbortSignal,
  ): Promise<UmlStopper> {
    const socket = socketPath(host, name);
    // Never aborted: an exchange that was begun is finished, because it must be known whether the guest was stopped.
    const mconsole = new Mconsole(socket, host.environment, new AbortController().signal);
    const lock = await lockAgainstOthers(name, host, signal);
    try {
      const lastWill = await writeLastWill(goScript, [socket], host.environment);
      return new UmlStopper(name, kernel, mconsole, lock, lastWill);
    } catch (error) {
      await lock.close();
      throw error;
    }
  }

  /** Stops the guest. If something else has stopped it, waits for up to a few seconds until it runs again. */
  async stop(signal: AbortSignal): Promise<StopAnswer> {
    const answer = await poll(
      async () => {
        this.stoppedAt = new Date();
        this.#stoppedMs = performance.now();
        const said = await this.mconsole.stop();
        // If something else has stopped the guest, vmferry must not let it go on.
        this.#mayBeStopped = said !== 'stopped-already';
        return this.#mayBeStopped && said;
      },
      { timeoutMs: stopTimeoutMs, intervalMs: stopIntervalMs, signal },
    );
    return answer ?? 'stopped-already';
  }

  /** Lets the guest go on if it may be stopped. Throws Failure `guest-left-down` when it does not answer. */
  async go(): Promise<void> {
    if (!this.#mayBeStopped) return;
    const { signal } = new AbortController();
    const going = await poll(async () => !isAlive(this.#kernel) || (await this.mconsole.go()), {
      timeoutMs: goTimeoutMs,
      intervalMs: stopIntervalMs,
      signal,
    });
    // The last will is not revoked: it tries once more when this process ends.
    if (going === null)
      throw new Failure(
        'guest-left-down',
        `The guest ${this.#name} was told to go on, and does not answer.`,
        {
          advice: `It may still be stopped. Let it go on by hand: uml_mconsole ${this.#name} go`,
        },
      );
    this.#mayBeStopped = false;
  }

  /**
   * Lets the guest go on, and unlocks it for others. Gives the milliseconds since it was stopped. Throws as `go` does.
   */
  async release(): Promise<number> {
    try {
      await this.go();
    } finally {
      await this.#lock.close();
    }
    const stoodStillMs = performance.now() - this.#stoppedMs;
    await this.#lastWill.revoke();
    return stoodStillMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}

/** Locks the guest's pid file, which exists as long as the guest runs. */
async function lockAgainstOthers(name: string, host: UmlHost, signal: AbortSignal): Promise<FileHandle> {
  const path = pidFilePath(host, name);
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      throw new Failure(
        'guest-unsupported',
        `The file ${path} of the guest ${name} cannot be locked (${errorCode(error)}).`,
      );
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
