import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encryptedSeal, SEAL_OVERHEAD_BYTES } from '../../../src/seal/encrypted-seal.ts';
import { sealPurpose } from '../../../src/seal/seal.ts';
import { noSeal, sealFor } from '../../../src/seal/seal-for.ts';
import { Failure } from '../../../src/failure.ts';

const bytes = fc.uint8Array({ maxLength: 300 });
const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const purpose = fc.string({ maxLength: 300, unit: 'grapheme' });

function isRefused(open: () => unknown): boolean {
  try {
    open();
    return false;
  } catch (error) {
    return error instanceof Failure && error.code === 'store-damaged';
  }
}

function counting(from: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => from + index);
}

describe('an encrypted seal', () => {
  test('opens what it sealed, also in another thread’s copy of it', () => {
    fc.assert(
      fc.property(key, purpose, bytes, (storeKey, what, plain) => {
        const sealed = sealFor(storeKey).seal(what, plain);
        expect(sealed.length).toBe(plain.length + SEAL_OVERHEAD_BYTES);
        expect(new Uint8Array(sealFor(new Uint8Array(storeKey)).open(what, sealed))).toEqual(plain);
      }),
    );
  });

  test('refuses bytes with any one bit changed', () => {
    fc.assert(
      fc.property(key, purpose, bytes, fc.nat(), (storeKey, what, plain, place) => {
        const seal = sealFor(storeKey);
        const sealed = seal.seal(what, plain);
        const bit = place % (sealed.length * 8);
        sealed[bit >> 3] = (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(isRefused(() => seal.open(what, sealed))).toBe(true);
      }),
    );
  });

  test('refuses one text with each of its bits flipped in turn', () => {
    const seal = sealFor(counting(0, 32));
    const sealed = seal.seal('table', Buffer.from('text'));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Uint8Array.from(sealed, (byte, index) =>
        index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte,
      );
      expect(isRefused(() => seal.open('table', flipped))).toBe(true);
    }
  });

  test('refuses bytes that were cut or made longer', () => {
    fc.assert(
      fc.property(key, bytes, bytes, (storeKey, plain, more) => {
        const seal = sealFor(storeKey);
        const sealed = seal.seal('table', plain);
        expect(
          isRefused(() => seal.open('table', sealed.subarray(0, -1 - (more.length % sealed.length)))),
        ).toBe(true);
        expect(isRefused(() => seal.open('table', Buffer.concat([sealed, more, Buffer.from([0])])))).toBe(
          true,
        );
      }),
    );
  });

  test('refuses what was sealed for another purpose or with another key', () => {
    fc.assert(
      fc.property(key, key, purpose, purpose, bytes, (storeKey, otherKey, what, other, plain) => {
        const sealed = sealFor(storeKey).seal(what, plain);
        fc.pre(what !== other && Buffer.compare(storeKey, otherKey) !== 0);
        expect(isRefused(() => sealFor(storeKey).open(other, sealed))).toBe(true);
        expect(isRefused(() => sealFor(otherKey).open(what, sealed))).toBe(true);
      }),
    );
  });

  test('never seals in the same way twice, and names equal texts equally', () => {
    fc.assert(
      fc.property(key, bytes, bytes, (storeKey, text, other) => {
        const seal = sealFor(storeKey);
        expect(seal.seal('page web', text)).not.toEqual(seal.seal('page web', text));
        expect(seal.nameOf(text)).toMatch(/^[0-9a-f]{64}$/);
        expect(seal.nameOf(text)).toBe(sealFor(storeKey).nameOf(text));
        expect(seal.nameOf(text) === seal.nameOf(other)).toBe(Buffer.compare(text, other) === 0);
        expect(seal.nameOf(text)).not.toBe(noSeal.nameOf(text));
      }),
    );
  });

  test('takes keys of 32 bytes only', () => {
    expect(() => sealFor(new Uint8Array(31))).toThrow(RangeError);
  });
});

// doc/encryption.md has the lines that computed these with the openssl command line.
describe('the openssl command line', () => {
  const salt = counting(0x20, 32);
  const seal = encryptedSeal(counting(0, 32), () => salt);
  const what = sealPurpose.snapshot('web', '20261122T030000Z-1f3a9c2e');
  const plain = Buffer.from('What is sealed here is read nowhere else.\n');
  const sealed = Buffer.from(
    '202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f' +
      '49677961758d7d399b4f520b8e0827227d878399111ded3b84d28a463b266dfb0f17d72f505a079e14cf' +
      '3343632197a06debd4a3d6866af8d6cd8890fb82b01d6ebe98d0c99c5b1648d5',
    'hex',
  );

  test('computes the same sealed bytes', () => {
    expect(Buffer.from(seal.seal(what, plain))).toEqual(sealed);
    expect(Buffer.from(seal.open(what, sealed))).toEqual(plain);
  });

  test('computes the same name for a text', () => {
    const page = '0 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef\n';
    expect(seal.nameOf(Buffer.from(page))).toBe(
      'cbafcaf623a31b2919d37f99693e3dd50798f09fad47ded85c5a62478d4936b0',
    );
  });
});

describe('no seal', () => {
  test('leaves bytes as they are, and names a text by its SHA-256', () => {
    const seal = sealFor(null);
    const plain = Buffer.from('text');
    expect(seal.seal('table', plain)).toBe(plain);
    expect(seal.open('frame', plain)).toBe(plain);
    expect(seal.suffix).toBe('');
    expect(seal.nameOf(plain)).toBe('982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1');
  });
});
