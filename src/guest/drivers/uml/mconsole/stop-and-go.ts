import { performance } from 'node:perf_hooks';
import { poll } from '../../../../pipeline/polling.ts';
import type { Mconsole, StopAnswer } from './mconsole.ts';

/** Another backup may have stopped the guest for a moment. */
const stopTimeoutMs = 5_000;
/** For a kernel that does not answer: it gets each order more than once. */
const answerTimeoutMs = 15_000;
const goTimeoutMs = 20_000;
const intervalMs = 50;
/** After an unanswered order to stop, the guest must not be stopped for this long. */
const settledMs = 1_000;

/**
 * Stops a guest by its management console, and lets it go on.
 *
 * A kernel that has just gone on may overlook the next order until another one arrives, and may then carry both out in
 * either order (arch/um/drivers/mconsole_kern.c: new requests are put at the front of the list). So an order to stop that
 * was not answered can still stop the guest later, even after an order to go on was answered.
 */
export class StopAndGo {
  /** When the last order to stop was given: it stopped the guest. */
  stoppedAt = new Date();
  stoppedAtMs = 0;
  readonly #mconsole: Pick<Mconsole, 'stop' | 'go'>;
  #mayBeStopped = false;
  #unanswered = false;

  constructor(mconsole: Pick<Mconsole, 'stop' | 'go'>) {
    this.#mconsole = mconsole;
  }

  /** Stops the guest. If something else has stopped it, waits for up to a few seconds until it runs again. */
  async stop(signal: AbortSignal): Promise<StopAnswer> {
    const startedMs = performance.now();
    let last: StopAnswer = 'no-answer';
    const isStopped = await poll(
      async () => {
        this.stoppedAt = new Date();
        this.stoppedAtMs = performance.now();
        last = await this.#mconsole.stop();
        // An unanswered order of our own has stopped it.
        if (last === 'stopped-already' && this.#unanswered) last = 'stopped';
        if (last === 'no-answer') this.#unanswered = true;
        // If something else has stopped the guest, vmferry must not let it go on.
        this.#mayBeStopped ||= last !== 'stopped-already';
        return (
          last === 'stopped' || (last === 'stopped-already' && performance.now() - startedMs > stopTimeoutMs)
        );
      },
      { timeoutMs: answerTimeoutMs, intervalMs, signal },
    );
    return isStopped === null ? 'no-answer' : last;
  }

  /**
   * Lets the guest go on if it may be stopped; false when it does not answer.
   * @param isGone whether the guest has ended meanwhile
   */
  async go(isGone: () => boolean): Promise<boolean> {
    if (!this.#mayBeStopped) return true;
    let runsSinceMs: number | null = null;
    const goes = await poll(
      async () => {
        if (isGone()) return true;
        const answer = await this.#mconsole.go();
        if (!this.#unanswered) return answer !== 'no-answer';
        // The next order makes the kernel carry out an order to stop that is still on its way.
        if (answer !== 'was-not-stopped') runsSinceMs = null;
        else runsSinceMs ??= performance.now();
        return runsSinceMs !== null && performance.now() - runsSinceMs >= settledMs;
      },
      { timeoutMs: goTimeoutMs, intervalMs, signal: new AbortController().signal },
    );
    if (goes === null) return false;
    this.#mayBeStopped = false;
    this.#unanswered = false;
    return true;
  }
}
