import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type Extent,
  intersect,
  mergeTouching,
  shift,
  subtract,
  totalLength,
} from '../../../src/extent/extents.ts';

const SIZE = 64;

/** The model: which bytes of a small image are in it. */
type Bitmap = boolean[];

function toBitmap(extents: Iterable<Extent>): Bitmap {
  const bitmap: Bitmap = Array.from({ length: SIZE }, () => false);
  for (const { offset, length } of extents) bitmap.fill(true, offset, offset + length);
  return bitmap;
}

/** The one sorted, disjoint and not touching way to say it. */
function toExtents(bitmap: Bitmap): Extent[] {
  const extents: Extent[] = [];
  for (const [offset, set] of bitmap.entries()) {
    const last = extents.at(-1);
    if (!set) continue;
    if (last !== undefined && last.offset + last.length === offset) last.length++;
    else extents.push({ offset, length: 1 });
  }
  return extents;
}

const bitmaps = fc.array(fc.boolean(), { minLength: SIZE, maxLength: SIZE });

/** Sorted and disjoint, but touching at random places. */
const extentLists = fc.tuple(bitmaps, bitmaps).map(([bitmap, cuts]) =>
  toExtents(bitmap).flatMap(({ offset, length }) => {
    const parts: Extent[] = [];
    for (let position = offset; position < offset + length; position++) {
      const last = parts.at(-1);
      if (last === undefined || cuts[position] === true) parts.push({ offset: position, length: 1 });
      else last.length++;
    }
    return parts;
  }),
);

describe('extents, against a bitmap', () => {
  test('mergeTouching says the same in the fewest extents', () => {
    fc.assert(
      fc.property(extentLists, (extents) => {
        expect([...mergeTouching(extents)]).toEqual(toExtents(toBitmap(extents)));
      }),
    );
  });

  test('mergeTouching joins what overlaps, and drops what is empty', () => {
    const extents = [
      { offset: 0, length: 4 },
      { offset: 2, length: 1 },
      { offset: 4, length: 0 },
      { offset: 9, length: 0 },
      { offset: 10, length: 2 },
    ];
    expect([...mergeTouching(extents)]).toEqual([
      { offset: 0, length: 4 },
      { offset: 10, length: 2 },
    ]);
  });

  test('intersect is "and"', () => {
    fc.assert(
      fc.property(extentLists, extentLists, (first, second) => {
        const other = toBitmap(second);
        const both = toBitmap(first).map((set, index) => set && other[index] === true);
        expect([...intersect(first, second)]).toEqual(toExtents(both));
      }),
    );
  });

  test('subtract is "and not"', () => {
    fc.assert(
      fc.property(extentLists, extentLists, (first, second) => {
        const other = toBitmap(second);
        const rest = toBitmap(first).map((set, index) => set && other[index] !== true);
        expect([...subtract(first, second)]).toEqual(toExtents(rest));
      }),
    );
  });

  test('totalLength counts bytes', () => {
    fc.assert(
      fc.property(extentLists, (extents) => {
        expect(totalLength(extents)).toBe(toBitmap(extents).filter(Boolean).length);
      }),
    );
  });

  test('shift moves all', () => {
    expect([...shift([{ offset: 3, length: 2 }], 100)]).toEqual([{ offset: 103, length: 2 }]);
  });

  test('all are lazy: the start of endless extents can be asked', () => {
    function* endless(step: number): Generator<Extent> {
      for (let offset = 0; ; offset += step) yield { offset, length: 1 };
    }
    const [first] = intersect(endless(6), subtract(endless(4), endless(8)));
    expect(first).toEqual({ offset: 12, length: 1 });
  });
});
