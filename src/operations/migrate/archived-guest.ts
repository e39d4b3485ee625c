import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { isImageOnly } from '../../guest/definition.ts';
import { isSameMachine } from '../../guest/guest-source.ts';
import { findGuest, type ResolvedGuest } from '../../guest/resolve-guest.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';

/**
 * Makes sure that a guest of an archive, which is to be booted on the new hardware, runs nowhere else, as far as that can be known here: no
 * fence keeps it from being started. Throws Failure `target-exists` for a guest that is known here, and `guest-fenced` for one of another
 * machine, unless the user says that the machine is gone.
 */
export async function refuseArchivedElsewhere(
  { definition, archived }: ResolvedGuest,
  oldHostIsGone: boolean,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<void> {
  if (archived === undefined || isImageOnly(definition)) return;
  const { name } = definition;
  if ((await findGuest(name, dependencies, context)) !== null)
    throw new Failure(
      'target-exists',
      `A guest ${name} is known here. With that of the archive it could run twice.`,
      {
        advice: `To move the guest itself: vmferry migrate ${name}. To put the archive in its place, import it (vmferry import).`,
      },
    );
  const { host, id } = dependencies.machine();
  const here = { host, machine: id, images: [] };
  const there = { host: archived.machine.host, machine: archived.machine.id, images: [] };
  if (oldHostIsGone || isSameMachine(here, there)) return;
  throw new Failure(
    'guest-fenced',
    `The archive of ${name} was made on ${there.host}. If ${name} runs there, it would run twice.`,
    {
      advice: `If ${there.host} is off and stays off, or is gone for good, add --old-host-is-gone.`,
    },
  );
}
