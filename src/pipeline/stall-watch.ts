/** Ticks in the time of the limit: how exact it is. */
const TICKS = 30;
const LONGEST_TICK_MS = 1000;

/**
 * Calls `onStall` once, when something has been waited for, and nothing has progressed, for as long as the limit. While
 * nothing is waited for no time passes. Counts its own ticks rather than the clock: a process that was stopped for a
 * while gets to see what has come meanwhile.
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

  /** Something is waited for until the answer is disposed of; then it has progressed. */
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
