import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

export interface PollOptions {
  timeoutMs: number;
  intervalMs: number;
  signal: AbortSignal;
}

/**
 * Asks until the answer is something other than null or false, and returns that answer; null after the timeout. Use it
 * for things that send no events: /proc, and guests. It asks at least once, and once more at the timeout. Throws the
 * signal's reason when aborted.
 */
export async function poll<Answer>(
  ask: () => Answer | null | false | Promise<Answer | null | false>,
  options: PollOptions,
): Promise<Answer | null> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal.throwIfAborted();
    const answer = await ask();
    if (answer !== null && answer !== false) return answer;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return null;
    await pause(Math.min(options.intervalMs, leftMs), options.signal);
  }
}

/** Waits. Throws the signal's reason when aborted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
