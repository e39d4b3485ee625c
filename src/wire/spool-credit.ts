/** Counts the bytes that lie in a spool of bounded size: `take` waits until there is room for more. */
export class SpoolCredit {
  readonly #limitBytes: number;
  readonly #signal: AbortSignal;
  #usedBytes = 0;
  #waiting: (() => void)[] = [];

  /** @param signal aborts everything that waits, now or later */
  constructor(limitBytes: number, signal: AbortSignal) {
    this.#limitBytes = limitBytes;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wakeAll(), { once: true });
  }

  /** Resolves when the bytes fit (an empty spool takes anything). Rejects with the signal's reason when aborted. */
  async take(bytes: number): Promise<void> {
    while (this.#usedBytes > 0 && this.#usedBytes + bytes > this.#limitBytes) {
      this.#signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    this.#signal.throwIfAborted();
    this.#usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    this.#wakeAll();
  }

  #wakeAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
