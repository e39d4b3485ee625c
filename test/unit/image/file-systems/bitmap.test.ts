import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { allSet, anySet, countFree, setBits, usedRuns } from '../../../../src/image/file-systems/bitmap.ts';

const bitmaps = fc
  .uint8Array({ minLength: 1, maxLength: 12 })
  .chain((bytes) =>
    fc.record({ bytes: fc.constant(bytes), bitCount: fc.integer({ min: 0, max: bytes.length * 8 }) }),
  );

function toBits(bytes: Uint8Array, bitCount: number): boolean[] {
  return Array.from({ length: bitCount }, (_, bit) => (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1) === 1);
}

describe('a block bitmap', () => {
  test('its free bits are counted', () => {
    fc.assert(
      fc.property(bitmaps, ({ bytes, bitCount }) => {
        expect(countFree(bytes, bitCount)).toBe(toBits(bytes, bitCount).filter((set) => !set).length);
      }),
    );
  });

  test('its runs cover the set bits, and do not touch each other', () => {
    fc.assert(
      fc.property(bitmaps, ({ bytes, bitCount }) => {
        const bits = Array.from({ length: bitCount }, () => false);
        let previousEnd = -1;
        for (const [first, end] of usedRuns(bytes, bitCount)) {
          expect(first).toBeGreaterThan(previousEnd);
          expect(allSet(bytes, first, end)).toBe(true);
          bits.fill(true, first, end);
          previousEnd = end;
        }
        expect(bits).toEqual(toBits(bytes, bitCount));
      }),
    );
  });

  test('setBits sets exactly the bits of its range', () => {
    fc.assert(
      fc.property(fc.nat(63), fc.nat(64), (from, end) => {
        const bytes = new Uint8Array(8);
        setBits(bytes, from, end);
        expect(toBits(bytes, 64)).toEqual(Array.from({ length: 64 }, (_, bit) => bit >= from && bit < end));
        expect(anySet(bytes, from, end)).toBe(from < end);
        expect(anySet(bytes, 0, from)).toBe(false);
      }),
    );
  });
});
