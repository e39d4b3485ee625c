import type { Context } from '../../events.ts';
import { asFailure, Failure, unsuppressed } from '../../failure.ts';
import type { RecordingRequest } from '../../guest/guest-driver.ts';
import type { ResolvedGuest } from '../../guest/resolve-guest.ts';
import { Resources } from '../../pipeline/resources.ts';
import { StallWatch } from '../../pipeline/stall-watch.ts';
import { GuestFolder } from '../../repository/guest-folder.ts';
import { watchedStore, type StoreWatch } from '../../store/watched-store.ts';
import { refuseSuspension } from '../../system/suspension.ts';
import type { GuestDependencies } from '../../guest/guest-dependencies.ts';
import { holdStill } from '../../hold/hold-still.ts';
import type { HoldMethod, HoldOptions, StillGuest } from '../../hold/still-guest.ts';

/** How long a guest waits while nothing reaches the store. A halted guest also has to boot, so it waits longer. */
const DEFAULT_MAX_PAUSE_MS: Record<Exclude<HoldMethod, 'clone'>, number> = { pause: 30_000, halt: 120_000 };

export interface StandstillOptions extends HoldOptions {
  hold: HoldMethod;
  /** The guest goes on when nothing has reached the store for this long; null: the default. */
  maxPauseMs: number | null;
}

/**
 * The time in which a guest stands still for its backup. A paused or halted guest goes on as soon as the backup is
 * interrupted, or when nothing reaches the store for too long. Ctrl-Z is refused meanwhile: the guest would stay down
 * until `fg`.
 */
export class Standstill {
  /** The guest's folder. Every wait for its store is watched. */
  readonly folder: GuestFolder;
  /** The context for work during the standstill. */
  readonly context: Context;
  readonly #guest: ResolvedGuest;
  readonly #options: StandstillOptions;
  readonly #stalled = new AbortController();
  readonly #held = new Resources();
  #watch: StoreWatch = {
    waiting: () => ({ [Symbol.dispose]: () => undefined }),
    progressed: () => undefined,
  };
  #hasWaited = false;
  #ending: Promise<void> | null = null;

  constructor(guest: ResolvedGuest, folder: GuestFolder, options: StandstillOptions, context: Context) {
    this.#guest = guest;
    this.#options = options;
    this.context = { ...context, signal: AbortSignal.any([context.signal, this.#stalled.signal]) };
    const store = watchedStore(folder.store, {
      waiting: () => this.#watch.waiting(),
      progressed: () => this.#watch.progressed(),
    });
    this.folder = new GuestFolder(store, folder.guest, folder.seal);
  }

  /** Begins the standstill. Throws what `holdStill` throws. */
  async begin(dependencies: GuestDependencies, recording: RecordingRequest | null): Promise<StillGuest> {
    const { hold } = this.#options;
    const suspension = this.#guest.running === null ? null : this.#held.hold(this.#refuseSuspension());
    const still = this.#held.hold(
      await holdStill(this.#guest, hold, { ...this.#options, recording }, dependencies, this.context),
    );
    if (!still.guestWaits || hold === 'clone') {
      suspension?.[Symbol.dispose]();
      return still;
    }
    this.#hasWaited = true;
    const limitMs = this.#options.maxPauseMs ?? DEFAULT_MAX_PAUSE_MS[hold];
    this.#watch = this.#held.hold(
      new StallWatch(limitMs, () => this.#stalled.abort(this.#stalledFailure(limitMs))),
    );
    const { signal } = this.context;
    // The guest goes on before anything is cleaned up over the line, which may take long.
    signal.addEventListener('abort', () => void this.end().catch(() => undefined), { once: true });
    signal.throwIfAborted();
    return still;
  }

  /** Lets the guest go on, or starts it again. Throws Failure `guest-left-down`. */
  end(): Promise<void> {
    return (this.#ending ??= this.#held[Symbol.asyncDispose]());
  }

  /** Ends the standstill after an error, and returns the failure to show. */
  async endAfter(error: unknown): Promise<unknown> {
    const { signal } = this.context;
    // After an abort, the abort's reason says more than the error that it caused.
    const isAborted = this.#hasWaited && signal.aborted;
    const first: unknown = isAborted ? signal.reason : error;
    try {
      await this.end();
    } catch (notLetGo) {
      return unsuppressed({ error: asFailure(notLetGo), suppressed: first });
    }
    return isAborted && first instanceof Failure ? this.#andRunsAgain(first) : first;
  }

  #refuseSuspension(): Disposable {
    const { name } = this.#guest.definition;
    const message =
      `Ctrl-Z has no effect now: ${name} waits for this backup, and would wait until the backup went on. ` +
      'Ctrl-C ends the backup.';
    return refuseSuspension(() => this.context.report({ type: 'notice', message }));
  }

  #stalledFailure(limitMs: number): Failure {
    const { name } = this.#guest.definition;
    const state = this.#options.hold === 'halt' ? 'was halted' : 'was paused';
    const seconds = Math.ceil(limitMs / 1000);
    return new Failure(
      'connection-lost',
      `${this.folder.store.location} accepted no data for ${seconds} s, while ${name} ${state} to be read.`,
      {
        advice:
          'Back it up again when the connection is good: what has arrived is not sent again. With --max-pause SECONDS the ' +
          'guest waits longer. If its images are on XFS or btrfs, it need not wait: leave out --pause and --halt.',
        transient: true,
      },
    );
  }

  #andRunsAgain(failure: Failure): Failure {
    const { name } = this.#guest.definition;
    const runs = this.#options.hold === 'halt' ? 'was started again' : 'goes on';
    return failure.withMessage(`${failure.message} ${name} ${runs}; no snapshot of it was made.`);
  }
}
