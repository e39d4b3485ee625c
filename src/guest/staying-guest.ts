import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from '../events.ts';
import type { GuestDriver, RunningGuest } from './guest-driver.ts';
import { findRunningGuest } from './resolve-guest.ts';

/** A guest that was told to halt is gone by then, or well on its way. */
const GOING_DOWN_LIMIT_MS = 10_000;
const POLL_INTERVAL_MS = 200;

/** The guest, if it still runs here and goes on: it may have been told to halt just before. */
export async function findStayingGuest(
  name: string,
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<RunningGuest | null> {
  const deadlineMs = Date.now() + GOING_DOWN_LIMIT_MS;
  while (true) {
    const running = await findRunningGuest(name, drivers, context);
    if (running === null || Date.now() > deadlineMs) return running;
    await delay(POLL_INTERVAL_MS, undefined, { signal: context.signal });
  }
}
