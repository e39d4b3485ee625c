import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encryptedSeal } from '../../../../src/seal/encrypted-seal.ts';
import { sealFor } from '../../../../src/seal/seal-for.ts';
import { Failure } from '../../../../src/failure.ts';
import {
  encryptionOf,
  isSealOf,
  markerText,
  parseMarker,
} from '../../../../src/repository/keys/store-marker.ts';
import { codeOf } from '../../../support/failures.ts';

const id = '1f3a9c2e00112233445566778899aabb';
const plain = `{"format":"vmferry-store","version":1,"id":"${id}","encryption":null}\n`;
const key = Buffer.alloc(32, 'key');
const seal = encryptedSeal(key, (count) => new Uint8Array(count));
const encrypted = { id, encryption: encryptionOf(id, seal) };

describe('the marker of a store', () => {
  test('is always written in the same format', () => {
    expect(markerText({ id, encryption: null })).toBe(plain);
    expect(markerText(encrypted)).toBe(
      `{"format":"vmferry-store","version":1,"id":"${id}","encryption":{"cipher":"aes-256-ctr-hmac-sha-256","check":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD96JIoRJ4OSpUIdA9z57+hpICNd/akjAAtKiQvq9phLfwz56jWi0//9TJwEaCj1W2CXxXJDgkYY9G6TJIVlMf2lQ+FvjGtlYrQUVTeKsVVOJs="}}\n`,
    );
  });

  test('is read back', () => {
    expect(parseMarker(plain, '/srv')).toEqual({ id, encryption: null });
    expect(parseMarker(markerText(encrypted), '/srv')).toEqual(encrypted);
  });

  test('is unsupported if it has another version or cipher', async () => {
    for (const text of [
      plain.replace('"version":1', '"version":2,"more":[]'),
      markerText(encrypted).replace('aes-256-ctr', 'aes-512-ctr'),
    ])
      expect(await codeOf(() => parseMarker(text, '/srv'))).toBe('store-unsupported');
  });

  test('is damaged if the text is not a marker', async () => {
    for (const text of [
      '',
      'null',
      '[]',
      plain.slice(0, 30),
      plain.replace('vmferry-store', 'vmferry-key'),
      plain.replace('1f3a', '1F3A'),
      plain.replace('null', '{}'),
      plain.replace('null', 'false'),
      plain.replace('}', ',"more":1}'),
      plain.replace('"version":1,', ''),
    ])
      expect([text, await codeOf(() => parseMarker(text, '/srv'))]).toEqual([text, 'store-damaged']);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(() => parseMarker(text, '/srv')).toThrow(Failure);
      }),
    );
  });

  test('matches only its own key and its own store', () => {
    expect(isSealOf(id, encrypted.encryption, sealFor(key))).toBe(true);
    expect(isSealOf(id, encrypted.encryption, sealFor(Buffer.alloc(32, 'other')))).toBe(false);
    expect(isSealOf(id.replace('1', '2'), encrypted.encryption, sealFor(key))).toBe(false);
    expect(isSealOf(id, { ...encrypted.encryption, check: 'AAAA' }, sealFor(key))).toBe(false);
  });
});
