import { combineFailures, type Failure } from '../failure.ts';
import { findUse, type UserFilter } from '../image/usage/refuse-used.ts';
import { descendantsOf, readProcess } from '../system/proc-process.ts';
import type { GuestDefinition } from './definition.ts';
import type { RunningGuest } from './guest-driver.ts';

/** Failure `image-in-use` for each disk of the guest that is in use. A disk that it only reads may be shared. */
export async function findUsedDisks(
  { disks }: GuestDefinition,
  advice: string,
  counted?: UserFilter,
): Promise<Failure[]> {
  const written = disks.filter(({ readOnly }) => !readOnly);
  const uses = await Promise.all(written.map(({ path }) => findUse(path, advice, counted)));
  return uses.filter((use) => use !== null);
}

/** Throws all that `findUsedDisks` finds, as one. */
export async function refuseUsedDisks(
  definition: GuestDefinition,
  advice: string,
  counted?: UserFilter,
): Promise<void> {
  const [first, ...others] = await findUsedDisks(definition, advice, counted);
  if (first !== undefined) throw combineFailures([first, ...others]);
}

/** Counts all users of an image but the guest itself. */
export function othersThan(running: RunningGuest | null): UserFilter {
  if (running === null) return (users) => users;
  return (users) => {
    // Asked afterwards: a guest's own processes come and go, and those that are gone use nothing.
    const own = [running.pid, ...descendantsOf(running.pid).map(({ pid }) => pid)];
    return users.filter(({ pid }) => pid === undefined || (!own.includes(pid) && readProcess(pid) !== null));
  };
}
