import type { Context } from '../events.ts';
import type { GuestDefinition } from './definition.ts';
import type { GuestDriver } from './guest-driver.ts';
import type { GuestRecord } from './guest-record.ts';
import type { RecordStore } from './record-store.ts';

export interface GuestSources {
  drivers: readonly GuestDriver[];
  records: RecordStore;
}

/**
 * The definitions of the guests that run here, and of those that are remembered. A guest that is both appears twice.
 * @param counts selects the records; all unless given
 */
export async function knownDefinitions(
  { drivers, records }: GuestSources,
  context: Context,
  counts: (record: GuestRecord) => boolean = () => true,
): Promise<GuestDefinition[]> {
  const running = await Promise.all(drivers.map((driver) => driver.list(context)));
  const remembered = (await records.list()).filter(counts);
  return [...running.flat(), ...remembered].map(({ definition }) => definition);
}
