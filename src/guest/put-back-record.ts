import { asFailure, combineFailures } from '../failure.ts';
import type { GuestRecord } from './guest-record.ts';
import type { RecordStore } from './record-store.ts';

/**
 * Writes a guest's earlier record again after an operation has failed. Always throws the operation's failure, and a
 * second one if the record cannot be written.
 */
export async function putBackRecord(
  records: Pick<RecordStore, 'write'>,
  earlier: GuestRecord,
  failed: unknown,
): Promise<never> {
  try {
    await records.write(earlier);
  } catch (error) {
    throw combineFailures([asFailure(failed), asFailure(error)]);
  }
  throw failed;
}
