import type { Context } from '../events.ts';
import { asFailure, Failure } from '../failure.ts';
import type { NewGuestRecord, RecordStore } from './record-store.ts';

/**
 * Records the guest's state. If the record cannot be written, it only warns: the guest has been halted or
 * started already, and whether it runs can be seen without the record.
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
 * Records that a guest that was moved was seen to be up on the new hardware. Never throws: the guest runs there, and a failure
 * now must not start it here.
 */
export async function noteUp(
  name: string,
  records: RecordStore,
  { report }: Pick<Context, 'report'>,
): Promise<void> {
  try {
    const record = await records.read(name);
    if (record?.state !== 'moved' || record.move === undefined) return;
    await records.write({ ...record, move: { ...record.move, upAt: new Date().toISOString() } });
  } catch (error) {
    report({ type: 'warning', code: 'not-remembered', message: asFailure(error).message });
  }
}

/**
 * Records how a guest runs before it is halted, so that it can be started again as it was even if this program is
 * killed. Throws the Failure of `RecordStore.write`, with the message that the guest was not halted.
 */
export async function noteBeforeHalt(
  { definition, copying }: Pick<NewGuestRecord, 'definition' | 'copying'>,
  records: RecordStore,
): Promise<void> {
  try {
    await records.write({ definition, state: 'running', ...(copying && { copying }) });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw error.withMessage(
      `${definition.name} is not halted: vmferry could not record how to start it again. ${error.message}`,
    );
  }
}
