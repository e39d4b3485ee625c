const CHECK_EVERY_MS = 1000;

/** How often ssh2 sends the server a keep-alive request. */
export const KEEPALIVE_INTERVAL_MS = 5000;
/** After this much silence, with three unanswered requests, the connection is dead. */
const SILENCE_LIMIT_MS = 20_000;

/**
 * Calls `onDead` after 20 s without any byte from the other side. Any byte counts, not only answers to keep-alive
 * requests: on a slow connection those queue behind megabytes of data for longer than 20 s. Counts timer ticks instead
 * of reading the clock: after a stop the process reads what has arrived before it gives up.
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
