import { Failure } from '../../failure.ts';
import { describeUsers } from '../../image/usage/describe-users.ts';
import { findUsers, type ImageUser } from '../../image/usage/usage.ts';
import { poll } from '../../pipeline/polling.ts';
import type { GuestDefinition } from '../definition.ts';

/** A hypervisor's helpers may release an image a little later than the guest itself ends. */
const RELEASE_LIMIT_MS = 10_000;
const POLL_INTERVAL_MS = 100;

/**
 * Waits until nothing has the guest's disks open. Call it again before the guest is booted elsewhere: something on this
 * machine may have started it meanwhile. Throws Failure `image-in-use`.
 */
export async function awaitReleases({ disks }: GuestDefinition, signal: AbortSignal): Promise<void> {
  // A disk that is only read may be shared with other guests.
  for (const { path, readOnly } of disks) if (!readOnly) await awaitRelease(path, signal);
}

async function awaitRelease(path: string, signal: AbortSignal): Promise<void> {
  let users: ImageUser[] = [];
  await poll(
    async () => {
      users = await findUsers(path);
      return users.length === 0;
    },
    { timeoutMs: RELEASE_LIMIT_MS, intervalMs: POLL_INTERVAL_MS, signal },
  );
  if (users.length === 0) return;
  throw new Failure(
    'image-in-use',
    `The guest is down, but its disk ${path} still ${describeUsers(users)}.`,
    {
      advice: 'Something may have started the guest again: stop that first.',
    },
  );
}
