import { expect, test } from '@jest/globals';
import {
  refuseUnencrypted,
  type SecretGiven,
} from '../../../../src/operations/store-access/refuse-unencrypted.ts';
import type { StoreMarker } from '../../../../src/repository/keys/store-marker.ts';
import { codeOf } from '../../../support/failures.ts';

const id = '0123456789abcdef0123456789abcdef';
const plain: StoreMarker = { id, encryption: null };
const sealed = { id, encryption: {} } as unknown as StoreMarker;

test.each<[what: string, StoreMarker | null, boolean, SecretGiven, refused: boolean]>([
  ['a new plain store, with a passphrase', null, false, 'for-it', true],
  ['a new plain store, with a passphrase for all', null, false, 'for-all', false],
  ['a new plain store, with none', null, false, 'no', false],
  ['a new encrypted store', null, true, 'for-it', false],
  ['a plain store, with a passphrase', plain, false, 'for-it', true],
  ['a plain store, with a passphrase for all', plain, false, 'for-all', false],
  ['a plain store, with none', plain, false, 'no', false],
  ['a plain store that is to be encrypted', plain, true, 'no', true],
  ['an encrypted store', sealed, false, 'for-it', false],
])('%s', async (_what, marker, encrypt, given, refused) => {
  const refuse = () => refuseUnencrypted(marker, encrypt, given, '/store');
  if (refused) expect(await codeOf(refuse)).toBe('usage');
  else expect(refuse).not.toThrow();
});
