import { describe, expect, test } from '@jest/globals';
import {
  keyFileText,
  parseKeyFile,
  unwrapStoreKey,
  wrapStoreKey,
  type StoreKeyFile,
} from '../../../../src/repository/keys/store-key-file.ts';
import { codeOf } from '../../../support/failures.ts';

const storeKey = Buffer.alloc(32, 'store key');
const passphrase = 'correct horse battery';
const options = {
  label: 'paper in the safe',
  createdAt: new Date('2026-11-22T03:00:00.000Z'),
  // The bytes 0, 1, 2, …
  random: (count: number) => Uint8Array.from({ length: count }, (_, index) => index),
  cost: { N: 2 ** 14, r: 8, p: 1 },
};

/** A file as an early vmferry wrote it. It must be readable forever. */
const golden = `{
 "format": "vmferry-key",
 "version": 1,
 "id": "0001020304050607",
 "createdAt": "2026-11-22T03:00:00.000Z",
 "label": "paper in the safe",
 "kdf": {
  "name": "scrypt",
  "N": 16384,
  "r": 8,
  "p": 1,
  "salt": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
 },
 "wrapped": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh97dCQtZo3BSPEsxOdY4fZouJtRd+EWjcJJJWwwH08TmL8sucYUbRX3MOpZ8f2h/+oZ2xSR4AAnPj6EZvv8cm4F"
}
`;
const goldenId = '0001020304050607';

function withKdf(change: object): string {
  const file = JSON.parse(golden) as StoreKeyFile;
  return JSON.stringify({ ...file, kdf: { ...file.kdf, ...change } });
}

describe('the file of a key', () => {
  test('is always written in the same format', async () => {
    expect(keyFileText(await wrapStoreKey(storeKey, passphrase, options))).toBe(golden);
  });

  test('gives the key only for its passphrase', async () => {
    const file = parseKeyFile(golden, goldenId);
    expect(Buffer.from((await unwrapStoreKey(file, passphrase)) ?? [])).toEqual(storeKey);
    expect(await unwrapStoreKey(file, 'incorrect horse battery')).toBeNull();
    expect(await unwrapStoreKey({ ...file, wrapped: 'AAAA' }, passphrase)).toBeNull();
  });

  test('accepts the passphrase in any Unicode composition', async () => {
    const file = await wrapStoreKey(storeKey, 'Schlüssel der Fähre', options);
    expect(await unwrapStoreKey(file, 'Schlu\u0308ssel der Fa\u0308hre')).not.toBeNull();
  });

  test('is not made for a passphrase of few characters, as people count them', async () => {
    expect(await codeOf(() => wrapStoreKey(storeKey, 'elevenchars', options))).toBe('usage');
    expect(await codeOf(() => wrapStoreKey(storeKey, '🔑'.repeat(11), options))).toBe('usage');
    expect((await wrapStoreKey(storeKey, 'twelve chars', options)).id).toBe(goldenId);
  });

  test('is refused if its costs are too high or too low', async () => {
    expect(parseKeyFile(withKdf({ N: 2 ** 19 }), goldenId).kdf.N).toBe(2 ** 19);
    for (const change of [
      { N: 2 ** 20 },
      { N: 2 ** 17, r: 64 },
      { N: 2 ** 53, r: 2 ** 53 - 1 },
      { p: 5 },
      { p: 0 },
      { r: 0 },
      { N: 2 ** 13 },
      { N: 2 ** 15 + 1 },
      { N: 16384.5 },
      { name: 'pbkdf2' },
      { salt: 'AAAA' },
      { salt: 'no base64, but long enough!' },
    ])
      expect([change, await codeOf(() => parseKeyFile(withKdf(change), goldenId))]).toEqual([
        change,
        'store-damaged',
      ]);
  });

  test('is refused if the text is not a key file', async () => {
    const file = JSON.parse(golden) as object;
    expect(await codeOf(() => parseKeyFile('{', goldenId))).toBe('store-damaged');
    expect(await codeOf(() => parseKeyFile('null', goldenId))).toBe('store-damaged');
    expect(await codeOf(() => parseKeyFile(golden, '1111111111111111'))).toBe('store-damaged');
    expect(await codeOf(() => parseKeyFile(JSON.stringify({ ...file, more: 1 }), goldenId))).toBe(
      'store-damaged',
    );
    expect(await codeOf(() => parseKeyFile(JSON.stringify({ ...file, version: 2 }), goldenId))).toBe(
      'store-unsupported',
    );
  });
});
