import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { findUsers } from '../image/usage/usage.ts';
import { describeUsers } from '../image/usage/describe-users.ts';
import type { GuestDefinition } from './definition.ts';

/** A hypervisor's helpers may let go of an image a little after the guest itself is gone. */
const RELEASE_LIMIT_MS = 10_000;
const POLL_INTERVAL_MS = 100;

/**
 * Waits until nobody has the guest's disks open. To be called again before the guest is booted elsewhere: something on
 * this machine may have started it meanwhile. Throws Failure `image-in-use`.
 */
export async function awaitReleases({ disks }: GuestDefinition, signal: AbortSignal): Promise<void> {
  // What is only read may be shared with other guests.
  for (const { path, readOnly } of disks) if (!readOnly) await awaitRelease(path, signal);
}

async function awaitRelease(path: string, signal: AbortSignal): Promise<void> {
  const deadlineMs = Date.now() + RELEASE_LIMIT_MS;
  while (true) {
    const users = await findUsers(path);
    if (users.length === 0) return;
    if (Date.now() > deadlineMs) {
      throw new Failure(
        'image-in-use',
        `The guest is down, but its disk ${path} still ${describeUsers(users)}.`,
        { advice: 'Something may have started the guest again: stop that first.' },
      );
    }
    await delay(POLL_INTERVAL_MS, undefined, { signal });
  }
}
