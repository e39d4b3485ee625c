/** Counts the bytes that lie in a spool of bounded size: `take` waits until there is room for more. */
export class SpoolCredit {
  readonly #limitBytes: number;
  #usedBytes = 0;
  #wake: (() => void)[] = [];

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Resolves when the bytes fit (an empty spool takes anything). Rejects with the signal's reason when aborted. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.#usedBytes > 0 && this.#usedBytes + bytes > this.#limitBytes) {
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      signal.throwIfAborted();
    }
    this.#usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}
