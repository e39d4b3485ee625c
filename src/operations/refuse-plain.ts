import { Failure } from '../failure.ts';
import type { StoreMarker } from '../repository/store-marker.ts';

/**
 * Whether something that opens an encrypted store was given, and so whether a person takes it for one: `for-it`, for this
 * very store; `for-all`, for whatever store it is, by the environment.
 */
export type SecretGiven = 'for-it' | 'for-all' | 'no';

/**
 * Throws Failure `usage` when a person takes the store for an encrypted one, and it is a plain one, or would become one:
 * who forgets --encrypt would never hear of it, nor who is shown another store in place of theirs.
 * @param marker null: there is no store yet
 * @param encrypt null: none is to be made
 */
export function refusePlain(
  marker: StoreMarker | null,
  encrypt: boolean | null,
  given: SecretGiven,
  location: string,
): void {
  if (marker === null && encrypt === false && given !== 'no')
    throw new Failure(
      'usage',
      `A passphrase was given, but the new store ${location} would not be encrypted.`,
      {
        advice:
          'Add --encrypt. For a store that everybody who gets at it can read, leave the passphrase out, in the environment, too.',
      },
    );
  if (marker?.encryption === null && given === 'for-it')
    throw new Failure('usage', `A passphrase was given, but the store ${location} is not encrypted.`, {
      advice:
        'If it ought to be, another one was put in its place: do not trust it. Else leave the passphrase out.',
    });
}
