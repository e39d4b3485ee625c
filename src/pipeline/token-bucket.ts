/** Unused time that may be made up for by going faster: a timer that fires late costs nothing. */
const BURST_MS = 50;

/**
 * Spaces bytes out in time, so that in any period no more go than `rate` times the period and 50 ms, and what was taken last.
 * Takers wait in the order in which they came. Pure: it only reckons.
 */
export class TokenBucket {
  /** When all that was taken so far will have gone. */
  #freeMs = Number.NEGATIVE_INFINITY;

  /**
   * Takes bytes out, and returns the milliseconds to wait before they may go.
   * @param rate bytes per second, from now on; null: unlimited
   * @param nowMs of a clock that never goes back
   */
  take(bytes: number, rate: number | null, nowMs: number): number {
    if (rate === null) return 0;
    const goesMs = Math.max(this.#freeMs, nowMs - BURST_MS);
    this.#freeMs = goesMs + (bytes * 1000) / rate;
    return Math.max(0, goesMs - nowMs);
  }
}
