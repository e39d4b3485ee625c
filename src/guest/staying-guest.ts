import type { Context } from '../events.ts';
import { poll } from '../pipeline/polling.ts';
import type { GuestDriver, RunningGuest } from './guest-driver.ts';
import { findRunningGuest } from './resolve-guest.ts';

/** After this time, a guest that was told to halt is usually gone. */
const GOING_DOWN_LIMIT_MS = 10_000;
const POLL_INTERVAL_MS = 200;

/** The guest, if it still runs here after this time: it may have been told to halt just before. Null as soon as it is gone. */
export async function findStayingGuest(
  name: string,
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<RunningGuest | null> {
  let running: RunningGuest | null = null;
  await poll(
    async () => {
      running = await findRunningGuest(name, drivers, context);
      return running === null;
    },
    { timeoutMs: GOING_DOWN_LIMIT_MS, intervalMs: POLL_INTERVAL_MS, signal: context.signal },
  );
  return running;
}
