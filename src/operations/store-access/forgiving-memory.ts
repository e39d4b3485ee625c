import type { Context } from '../../events.ts';
import { Failure, type FailureCode } from '../../failure.ts';
import type { StoreMemory } from '../../repository/store-memory.ts';

const NOT_KEPT: readonly FailureCode[] = [
  'target-full',
  'target-not-writable',
  'not-permitted',
  'write-failed',
];

/**
 * What is remembered of stores, where it may be that nothing can be written down (a full /var, a rescue system): that is
 * warned of once (`not-remembered`), with what it costs, and everything else goes on.
 * @param mayBeUnreadable what cannot be read counts as not remembered, likewise: for a store that is read, and not for one
 *   that is sent backups, which somebody could have exchanged
 */
export function forgivingMemory(
  memory: StoreMemory,
  mayBeUnreadable: boolean,
  { report }: Pick<Context, 'report'>,
): StoreMemory {
  let isTold = false;
  const forgive = (error: unknown, consequence: string): void => {
    if (!(error instanceof Failure) || !NOT_KEPT.includes(error.code)) throw error;
    if (isTold) return;
    isTold = true;
    report({ type: 'warning', code: 'not-remembered', message: `${error.message} ${consequence}` });
  };
  return {
    async recall(location) {
      try {
        return await memory.recall(location);
      } catch (error) {
        if (!mayBeUnreadable) throw error;
        forgive(error, 'So it was not checked that this is the same store as the last time.');
        return null;
      }
    },
    async remember(...what) {
      try {
        await memory.remember(...what);
      } catch (error) {
        forgive(
          error,
          'Should another store, or an older state of it, be there the next time, this machine may not notice.',
        );
      }
    },
  };
}
