/** Lets callers through one at a time, in order. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /**
   * Waits until all earlier callers have ended their turns. The caller must call the returned function to end its own; calling it
   * again does nothing. Throws the signal's reason when aborted; the turn is then skipped.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const before = this.#last;
    let end: () => void = () => undefined;
    this.#last = new Promise((resolve) => (end = resolve));
    let stopWaiting: () => void = () => undefined;
    const aborted = new Promise<void>((resolve) => (stopWaiting = resolve));
    signal.addEventListener('abort', stopWaiting);
    await Promise.race([before, aborted]);
    signal.removeEventListener('abort', stopWaiting);
    if (!signal.aborted) return end;
    void before.then(end);
    throw signal.reason;
  }
}
