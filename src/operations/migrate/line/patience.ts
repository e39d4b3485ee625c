const MINUTE_MS = 60_000;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = MINUTE_MS;

/** How long a lost line is tried again while the guest runs, and while it is down. */
export const USUAL_RETRY_MS = { running: 24 * 60 * MINUTE_MS, down: 10 * MINUTE_MS } as const;

export interface RetryRequest {
  /** How long a lost line is tried again; null: as usual (`USUAL_RETRY_MS`). 0: not at all. */
  retryForMs: number | null;
  /** The longest downtime after which a lost line is still waited for; null: no limit of its own. */
  maxDowntimeMs: number | null;
}

/**
 * How long one outage of the line is waited for, in pauses that grow. An outage lasts until something has been sent again. All times are those of
 * one clock that never jumps, in milliseconds.
 */
export class Patience {
  readonly #request: RetryRequest;
  /** When the guest was halted; null while it runs. */
  readonly #downSinceMs: number | null;
  #outage: { sinceMs: number; attempts: number } | null = null;

  constructor(request: RetryRequest, downSinceMs: number | null) {
    this.#request = request;
    this.#downSinceMs = downSinceMs;
  }

  /** The pause before the next attempt; null when the line is given up. */
  nextPauseMs(nowMs: number): number | null {
    this.#outage ??= { sinceMs: nowMs, attempts: 0 };
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#outage.attempts, LONGEST_PAUSE_MS);
    this.#outage.attempts++;
    return nowMs + pauseMs <= this.#endsMs(this.#outage.sinceMs) ? pauseMs : null;
  }

  /** Call it when something was sent. */
  noteProgress(): void {
    this.#outage = null;
  }

  /** How much longer the line is tried. */
  leftMs(nowMs: number): number {
    return Math.max(0, this.#endsMs(this.#outage?.sinceMs ?? nowMs) - nowMs);
  }

  #endsMs(sinceMs: number): number {
    const { retryForMs, maxDowntimeMs } = this.#request;
    const usualMs = this.#downSinceMs === null ? USUAL_RETRY_MS.running : USUAL_RETRY_MS.down;
    const retryEndsMs = sinceMs + (retryForMs ?? usualMs);
    if (this.#downSinceMs === null || maxDowntimeMs === null) return retryEndsMs;
    return Math.min(retryEndsMs, this.#downSinceMs + maxDowntimeMs);
  }
}
