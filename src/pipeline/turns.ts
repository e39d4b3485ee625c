/** Lets one at a time through, in the order in which they came. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /**
   * Waits until all who came before have ended theirs; whoever gets the answer must call it to end this one. More than once does
   * no harm. When aborted it throws the signal's reason, and nobody waits for it.
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
