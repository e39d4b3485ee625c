import { Failure } from '../../failure.ts';
import type { StoreMarker } from '../../repository/keys/store-marker.ts';

/**
 * Whether the user gave a secret, and so expects an encrypted store. `for-it`: for this store. `for-all`: for all stores, by the
 * environment.
 */
export type SecretGiven = 'for-it' | 'for-all' | 'no';

/**
 * Throws Failure `usage` if the user expects an encrypted store, but it is plain or would become plain. Otherwise the user would
 * not notice that their store was replaced by a plain one.
 * @param marker null: there is no store yet
 * @param encrypt the user said that the store is or should be encrypted
 */
export function refuseUnencrypted(
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
        advice: 'To encrypt it, add --encrypt. For a plain store, leave the passphrase out.',
      },
    );
  if (marker?.encryption === null && encrypt)
    throw new Failure('usage', `The store ${location} is not encrypted.`, {
      advice:
        'If it should be encrypted, it was replaced by another store: do not trust it. Otherwise leave --encrypt out.',
    });
  if (marker?.encryption === null && given === 'for-it')
    throw new Failure('usage', `A passphrase was given, but the store ${location} is not encrypted.`, {
      advice:
        'If it should be encrypted, it was replaced by another store: do not trust it. Otherwise leave the passphrase out.',
    });
}
