import type { Context } from '../../events.ts';
import type { GuestUser } from '../../image/usage/describe-users.ts';
import type { ImageUser } from '../../image/usage/usage.ts';
import type { GuestDriver } from '../guest-driver.ts';
import { surveyRunning } from '../survey-guests.ts';

/** The users of an image, with each guest among them named once instead of each of its processes. */
export async function nameGuests(
  users: readonly ImageUser[],
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<(ImageUser | GuestUser)[]> {
  if (users.length === 0) return [];
  let others = users;
  const named: GuestUser[] = [];
  for (const driver of drivers) {
    // The users of a hypervisor that does not answer stay processes.
    const { running } = await surveyRunning([driver], context);
    for (const guest of running) {
      const rest = await driver.usersBesides(guest, others);
      if (rest.length === others.length) continue;
      const { definition, identity } = guest;
      const { pid, label } = identity;
      named.push({
        kind: 'guest',
        ...(pid === undefined ? {} : { pid }),
        name: definition.name,
        description: `is a disk of ${definition.name}, which runs (${label})`,
      });
      others = rest;
    }
  }
  return [...named, ...others];
}
