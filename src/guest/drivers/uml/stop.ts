import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { Failure } from '../../../failure.ts';
import { errorCode } from '../../../system/error-code.ts';
import { writeLastWill, type LastWill } from '../../../system/last-will.ts';
import { isAlive, type ProcessIdentity } from '../../../system/proc-process.ts';
import { lockPause } from '../lock-pause.ts';
import { pidFilePath, socketPath, type UmlHost } from './host.ts';
import { Mconsole, type StopAnswer } from './mconsole/mconsole.ts';
import { StopAndGo } from './mconsole/stop-and-go.ts';

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
  readonly mconsole: Mconsole;
  readonly #name: string;
  readonly #kernel: ProcessIdentity;
  readonly #lock: FileHandle;
  readonly #lastWill: LastWill;
  readonly #stopAndGo: StopAndGo;

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
    this.#stopAndGo = new StopAndGo(mconsole);
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

  /** When the guest was stopped last. */
  get stoppedAt(): Date {
    return this.#stopAndGo.stoppedAt;
  }

  /** See `StopAndGo.stop`. */
  stop(signal: AbortSignal): Promise<StopAnswer> {
    return this.#stopAndGo.stop(signal);
  }

  /** Lets the guest go on if it may be stopped. Throws Failure `guest-left-down` when it does not answer. */
  async go(): Promise<void> {
    if (await this.#stopAndGo.go(() => !isAlive(this.#kernel))) return;
    // The last will is not revoked: it tries once more when this process ends.
    throw new Failure('guest-left-down', `The guest ${this.#name} was told to go on, and does not answer.`, {
      advice: `It may still be stopped. Let it go on by hand: uml_mconsole ${this.#name} go`,
    });
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
    const stoodStillMs = performance.now() - this.#stopAndGo.stoppedAtMs;
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
  await lockPause(file, name, signal);
  return file;
}
