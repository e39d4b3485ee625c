import { combineFailures, type Failure } from '../../failure.ts';
import { backingFilesOf } from '../../image/formats/view/image-files.ts';
import { findUse, type UserFilter } from '../../image/usage/refuse-used.ts';
import { readProcess } from '../../system/proc-process.ts';
import type { GuestDefinition } from '../definition.ts';
import type { GuestDriver, RunningGuest } from '../guest-driver.ts';
import { requireDriver } from '../require-driver.ts';

/** Failure `image-in-use` for each disk of the guest that is in use. A disk that it only reads may be shared, and so may a backing file with those who only read it. */
export async function findUsedDisks(
  { disks }: GuestDefinition,
  advice: string,
  counted?: UserFilter,
): Promise<Failure[]> {
  const written = disks.filter(({ readOnly }) => !readOnly);
  const counts: UserFilter = counted ?? ((users) => users);
  const changers: UserFilter = async (users) =>
    (await counts(users)).filter(({ onlyReads }) => onlyReads !== true);
  const backing = [...new Set(disks.flatMap(backingFilesOf))];
  const uses = await Promise.all([
    ...written.map(({ path }) => findUse(path, advice, counts)),
    ...backing.map((path) => findUse(path, advice, changers)),
  ]);
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
export function othersThan(running: RunningGuest, drivers: readonly GuestDriver[]): UserFilter {
  const driver = requireDriver(drivers, running.definition.driver);
  return async (users) => {
    const others = await driver.usersBesides(running, users);
    // A guest's own processes come and go. A process that has ended can no longer be recognised as the guest's, so it
    // does not count.
    return others.filter(({ pid }) => pid === undefined || readProcess(pid) !== null);
  };
}
