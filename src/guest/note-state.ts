import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import type { GuestDefinition } from './definition.ts';
import type { NewGuestRecord, RecordStore } from './record-store.ts';

/**
 * Writes down how a guest is now. That it cannot be is a warning: the guest was halted or started all the same, and
 * whether it runs is found by looking.
 */
export async function noteState(
  record: NewGuestRecord,
  records: RecordStore,
  { report }: Pick<Context, 'report'>,
): Promise<void> {
  try {
    await records.write(record);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    report({ type: 'warning', code: 'not-remembered', message: error.message });
  }
}

/**
 * Writes down how a guest runs, before it is halted: should this program be killed on the way, it can still be started
 * as it was. Throws the Failure of `RecordStore.write`, and says that the guest was left alone.
 */
export async function noteBeforeHalt(definition: GuestDefinition, records: RecordStore): Promise<void> {
  try {
    await records.write({ definition, state: 'running' });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw error.withMessage(
      `${definition.name} is not halted: vmferry could not write down how to start it again. ${error.message}`,
    );
  }
}
