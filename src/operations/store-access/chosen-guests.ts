import { closest } from '../../config/suggestion.ts';
import { Failure } from '../../failure.ts';
import type { ReadSession } from './store-session.ts';

/**
 * The guests that a command is for. Throws Failure `snapshot-missing` for a guest that the store does not have.
 * @param guest null: all guests of the store
 */
export async function chosenGuests(
  guest: string | null,
  session: Pick<ReadSession, 'guests'>,
  signal: AbortSignal,
): Promise<string[]> {
  const guests = await session.guests(signal);
  if (guest === null) return guests;
  if (guests.includes(guest)) return [guest];
  throw noSuchGuest(guest, guests);
}

/** @param guests those that the store has */
export function noSuchGuest(guest: string, guests: readonly string[]): Failure {
  const meant = closest(guest, guests);
  return new Failure(
    'snapshot-missing',
    `The store has no snapshot of ${guest}.${meant === null || meant === guest ? '' : ` Did you mean ${meant}?`}`,
    { advice: guests.length === 0 ? 'The store is empty.' : `It has these guests: ${guests.join(', ')}.` },
  );
}
