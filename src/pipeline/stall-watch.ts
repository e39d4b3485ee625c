/** The number of ticks in one limit: the precision of the watch. */
const TICKS = 30;
const LONGEST_TICK_MS = 1000;

/**
 * Calls `onStall` once, after `limitMs` of waiting without progress. Time counts only during a wait. It counts ticks
 * instead of reading the clock: after a stop the process reads what has arrived before the limit is reached.
 */
export class StallWatch implements Disposable {
  readonly #timer: NodeJS.Timeout;
  #waits = 0;
  #stalledMs = 0;

  constructor(limitMs: number, onStall: () => void) {
    const tickMs = Math.min(LONGEST_TICK_MS, Math.max(1, Math.floor(limitMs / TICKS)));
    this.#timer = setInterval(() => {
      if (this.#waits === 0) return;
      this.#stalledMs += tickMs;
      if (this.#stalledMs < limitMs) return;
      clearInterval(this.#timer);
      onStall();
    }, tickMs);
  }

  /** Begins a wait. Disposing of the returned object ends the wait, which counts as progress. */
  waiting(): Disposable {
    if (this.#waits === 0) this.#stalledMs = 0;
    this.#waits++;
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        this.#waits--;
        this.progressed();
      },
    };
  }

  progressed(): void {
    this.#stalledMs = 0;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
