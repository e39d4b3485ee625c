import type { Context } from '../events.ts';
import type { GuestDefinition } from './definition.ts';
import type { GuestDriver } from './guest-driver.ts';
import type { GuestRecord } from './guest-record.ts';
import type { RecordStore } from './record-store.ts';
import { surveyGuests, type GuestSurvey } from './survey-guests.ts';

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
  const survey = await surveyGuests(drivers, context);
  return definitionsOf(survey, (await records.list()).filter(counts));
}

/** The same of all hypervisors. Throws the failure of one that cannot be asked. */
export async function allDefinitions(
  { drivers, records }: GuestSources,
  context: Context,
): Promise<GuestDefinition[]> {
  const survey = await surveyGuests(drivers, context);
  const [silent] = survey.failures;
  if (silent !== undefined) throw silent.failure;
  return definitionsOf(survey, await records.list());
}

function definitionsOf(
  { running, kept }: Pick<GuestSurvey, 'running' | 'kept'>,
  remembered: readonly GuestRecord[],
): GuestDefinition[] {
  return [...running, ...kept, ...remembered].map(({ definition }) => definition);
}
