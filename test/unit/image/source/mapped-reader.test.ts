import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Extent } from '../../../../src/extent/extents.ts';
import { mappedReader, placedInPiece } from '../../../../src/image/source/mapped-reader.ts';

const disk = Uint8Array.from({ length: 200 }, (_, index) => index);
const read = (offset: number, length: number): Uint8Array => disk.slice(offset, offset + length);

/** Disjoint pieces in any order, and a range of their whole. */
const cases = fc
  .uniqueArray(fc.nat(19), { minLength: 1, maxLength: 8 })
  .chain((slots) =>
    fc.tuple(
      ...slots.map((slot) =>
        fc.integer({ min: 1, max: 10 }).map((length) => ({ offset: slot * 10, length })),
      ),
    ),
  )
  .chain((pieces: Extent[]) => {
    const total = pieces.reduce((sum, { length }) => sum + length, 0);
    return fc
      .nat(total - 1)
      .chain((offset) =>
        fc.integer({ min: 1, max: total - offset }).map((length) => ({ pieces, range: { offset, length } })),
      );
  });

function whole(pieces: readonly Extent[]): number[] {
  return pieces.flatMap(({ offset, length }) => [...read(offset, length)]);
}

test('pieces of a disk read as one', () => {
  fc.assert(
    fc.property(cases, ({ pieces, range: { offset, length } }) => {
      expect([...mappedReader(read, pieces)(offset, length)]).toEqual(
        whole(pieces).slice(offset, offset + length),
      );
    }),
  );
});

test('nothing behind the last piece is read', () => {
  const pieces = [
    { offset: 50, length: 10 },
    { offset: 0, length: 10 },
  ];
  expect(() => mappedReader(read, pieces)(15, 6)).toThrow('15 in 20 bytes');
});

test('an extent of the whole is found in the pieces', () => {
  fc.assert(
    fc.property(cases, ({ pieces, range }) => {
      const found = pieces.flatMap((_, index) => [...placedInPiece(pieces, index, () => [range])]);
      expect(whole(found)).toEqual(whole(pieces).slice(range.offset, range.offset + range.length));
    }),
  );
});
