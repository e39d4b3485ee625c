import type { Context } from '../events.ts';
import type { GuestDefinition } from './definition.ts';
import type { GuestDriver } from './guest-driver.ts';
import type { GuestRecord } from './guest-record.ts';
import type { RecordStore } from './record-store.ts';
import { surveyGuests } from './survey-guests.ts';

export interface GuestSources {
  drivers: readonly GuestDriver[];
  records: RecordStore;
}

/**
 * The definitions of the guests that run here, that their hypervisors keep, and that are remembered. A guest that is several of
 * these appears several times. Guests of a hypervisor that cannot be asked are left out.
 * @param counts selects the records; all unless given
 */
export async function knownDefinitions(
  { drivers, records }: GuestSources,
  context: Context,
  counts: (record: GuestRecord) => boolean = () => true,
): Promise<GuestDefinition[]> {
  const { running, kept } = await surveyGuests(drivers, context);
  const remembered = (await records.list()).filter(counts);
  return [...running, ...kept, ...remembered].map(({ definition }) => definition);
}
