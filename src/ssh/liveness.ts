const CHECK_EVERY_MS = 1000;

/** How often ssh2 asks the server for a sign of life. */
export const KEEPALIVE_INTERVAL_MS = 5000;
/** Silence that long, through three unanswered requests, is a dead line. */
const SILENCE_LIMIT_MS = 20_000;

/**
 * Calls `onDead` when nothing at all has come from the other side for 20 s. Any byte is a sign of life, not only the
 * answers to keep-alive requests: on a slow line those queue behind megabytes of data for longer than that.
 * Counts its own ticks rather than the clock, so that a process that was stopped for a while gets to read first.
 */
export function watchForSilence(bytesReceived: () => number, onDead: (silentMs: number) => void): Disposable {
  let seen = bytesReceived();
  let silentMs = 0;
  const timer = setInterval(() => {
    const now = bytesReceived();
    silentMs = now === seen ? silentMs + CHECK_EVERY_MS : 0;
    seen = now;
    if (silentMs < SILENCE_LIMIT_MS) return;
    clearInterval(timer);
    onDead(silentMs);
  }, CHECK_EVERY_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
