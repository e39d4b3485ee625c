import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { isNotWritable } from '../../repository/files/not-writable.ts';
import type { StoreMemory } from '../../repository/store-memory.ts';

/**
 * A memory of stores that may fail to write (a full /var, a rescue system). Instead of failing, it warns once (`not-remembered`)
 * and names the consequence.
 * @param mayBeUnreadable an unreadable memory is likewise only warned of. Not for a store that receives backups: it could have
 *   been exchanged
 */
export function forgivingMemory(
  memory: StoreMemory,
  mayBeUnreadable: boolean,
  { report }: Pick<Context, 'report'>,
): StoreMemory {
  let isTold = false;
  const forgive = (error: unknown, consequence: string): void => {
    if (!isNotWritable(error) && !isNotPermitted(error)) throw error;
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
        forgive(error, 'So vmferry did not check whether this is the same store as last time.');
        return null;
      }
    },
    async remember(...what) {
      try {
        await memory.remember(...what);
      } catch (error) {
        forgive(
          error,
          'If the server shows another store or an older state next time, this machine may not notice.',
        );
      }
    },
  };
}

function isNotPermitted(error: unknown): error is Failure {
  return error instanceof Failure && ['not-permitted', 'write-failed'].includes(error.code);
}
