import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { here, placed } from '../../placed-text.ts';
import type { KeptGuest } from '../guest-driver.ts';
import type { ResolvedGuest } from '../resolve-guest.ts';

/** Tells of snapshots that a move, a backup or an export does not take along. */
export function tellOfEarlierStates(
  { definition, earlierStates }: Pick<ResolvedGuest, 'definition' | 'earlierStates'>,
  { report }: Pick<Context, 'report'>,
): void {
  if (earlierStates === undefined) return;
  const message = `The snapshots of ${definition.name} stay behind: ${earlierStates.text}. Its disks are read as they are now.`;
  report({ type: 'notice', message });
}

/**
 * A guest that comes back is still known here in its former shape, and fenced. Its hypervisor is to forget that, which would lose the
 * snapshots that it has from before: a person decides on them first. It may also be unable to.
 */
export function checkEarlierStates(name: string, kept: readonly KeptGuest[]): Failure[] {
  return kept
    .filter(({ definition, unsupported }) => definition.name === name && unsupported?.code === 'guest-fenced')
    .flatMap(({ definition, earlierStates, undroppable }) => [
      ...(earlierStates === undefined
        ? []
        : [
            new Failure(
              'target-exists',
              placed`${definition.driver} has snapshots of ${name} ${here}, from before it was moved away: ${earlierStates.text}.`,
              { advice: earlierStates.forget },
            ),
          ]),
      ...(undroppable === undefined ? [] : [undroppable]),
    ]);
}
