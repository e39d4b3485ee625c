import type { RunningGuest } from './guest-driver.ts';
import type { ImageUser } from '../image/usage/usage.ts';
import { descendantsOf } from '../system/proc-process.ts';
import type { GuestUser } from '../image/usage/describe-users.ts';

/** The users of an image, each guest among them once instead of each of its processes. */
export function nameGuests(
  users: readonly ImageUser[],
  guests: readonly Pick<RunningGuest, 'definition' | 'pid'>[],
  pidsOf = (pid: number) => [pid, ...descendantsOf(pid).map((child) => child.pid)],
): (ImageUser | GuestUser)[] {
  let others = users;
  const named: GuestUser[] = [];
  for (const { definition, pid } of guests) {
    const own = pidsOf(pid);
    const rest = others.filter((user) => user.pid === undefined || !own.includes(user.pid));
    if (rest.length === others.length) continue;
    const { name } = definition;
    named.push({
      kind: 'guest',
      pid,
      name,
      description: `is a disk of ${name}, which runs (process ${pid})`,
    });
    others = rest;
  }
  return [...named, ...others];
}
