import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkId, isAllZero, isHexId } from '../../../src/chunk/chunk-id.ts';

test('a chunk id is the SHA-256 of its bytes', () => {
  expect(Buffer.from(chunkId(Buffer.from('abc'))).toString('hex')).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
});

test('isAllZero is true exactly if every byte is zero', () => {
  const sizes = fc.constantFrom(0, 1, 511, 4096, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 2 ** 21 + 7);
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat({ max: 40 }), (size, seed, shift) => {
      const whole = new Uint8Array(size + shift);
      const bytes = whole.subarray(shift);
      expect(isAllZero(bytes)).toBe(true);
      if (size === 0) return;
      bytes[seed % size] = 1 + (seed % 255);
      expect(isAllZero(bytes)).toBe(false);
      bytes[seed % size] = 0;
      // the bytes beside the range do not count
      whole.fill(1, 0, shift);
      expect(isAllZero(bytes)).toBe(true);
      whole.fill(1, 0, shift >> 1);
      whole.fill(0, shift >> 1, shift);
      expect(isAllZero(whole, shift >> 1, whole.length)).toBe(true);
      const at = seed % size;
      bytes[at] = 1;
      expect(isAllZero(whole, shift, shift + at)).toBe(true);
      expect(isAllZero(whole, shift, shift + at + 1)).toBe(false);
      expect(isAllZero(whole, shift + at, whole.length)).toBe(false);
      expect(isAllZero(whole, shift + at + 1, whole.length)).toBe(true);
    }),
  );
});

test.each([
  ['0'.repeat(64), true],
  ['ab'.repeat(32), true],
  ['AB'.repeat(32), false],
  ['a'.repeat(63), false],
  ['a'.repeat(65), false],
  [`${'a'.repeat(64)}\n`, false],
  ['', false],
])('%j as an id: %s', (text, isId) => {
  expect(isHexId(text)).toBe(isId);
});
