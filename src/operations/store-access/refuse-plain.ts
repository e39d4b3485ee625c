import { Failure } from '../../failure.ts';
import type { StoreMarker } from '../../repository/keys/store-marker.ts';

/**
 * Whether something that opens an encrypted store was given, and so whether a person takes it for one: `for-it`, for this
 * very store; `for-all`, for whatever store it is, by the environment.
 */
export type SecretGiven = 'for-it' | 'for-all' | 'no';

/**
 * Throws Failure `usage` when a person takes the store for an encrypted one, and it is a plain one, or would become one:
 * somebody who is shown another store in place of theirs would never hear of it.
 * @param marker null: there is no store yet
 * @param encrypt it was said that it is encrypted, or is to be
 */
export function refusePlain(
  marker: StoreMarker | null,
  encrypt: boolean,
  given: SecretGiven,
  location: string,
): void {
  if (marker === null && !encrypt && given === 'for-it')
    throw new Failure(
      'usage',
      `A passphrase was given, but the new store ${location} would not be encrypted.`,
      {
        advice: 'Say --encrypt. For a store that whoever gets at it can read, leave the passphrase out.',
      },
    );
  if (marker?.encryption === null && encrypt)
    throw new Failure('usage', `The store ${location} is not encrypted.`, {
      advice:
        'If it ought to be, another one was put in its place: do not trust it. Else leave --encrypt out.',
    });
  if (marker?.encryption === null && given === 'for-it')
    throw new Failure('usage', `A passphrase was given, but the store ${location} is not encrypted.`, {
      advice:
        'If it ought to be, another one was put in its place: do not trust it. Else leave the passphrase out.',
    });
}
