import { performance } from 'node:perf_hooks';
import { rateAt, slowestRate, type RateLimit } from '../rate-limit.ts';
import { pause } from './polling.ts';
import { TokenBucket } from './token-bucket.ts';

/** The time that a piece takes at the slowest rate: short, so that each acknowledgement shows that the line is alive. */
const PIECE_SECONDS = 0.05;
const LEAST_PIECE_BYTES = 1024;
/** Timers are not more precise. */
const LEAST_WAIT_MS = 1;

/** Holds what goes over a line to a limit. */
export interface Pace {
  /** The most bytes that should go at once. */
  readonly pieceBytes: number;
  /** Waits until the bytes may go. Throws the signal's reason when aborted. */
  wait(bytes: number, signal: AbortSignal): Promise<void>;
}

/** @param now the clock that says which time of day it is */
export function paceFor(limit: RateLimit, now: () => Date): Pace {
  const bucket = new TokenBucket();
  const slowest = slowestRate(limit);
  return {
    pieceBytes:
      slowest === null
        ? Number.POSITIVE_INFINITY
        : Math.max(LEAST_PIECE_BYTES, Math.floor(slowest * PIECE_SECONDS)),
    async wait(bytes, signal) {
      const waitMs = bucket.take(bytes, rateAt(limit, now()), performance.now());
      if (waitMs >= LEAST_WAIT_MS) await pause(waitMs, signal);
    },
  };
}
