import { expect, test } from '@jest/globals';
import { FoundDamage } from '../../../../src/operations/verify/map-damage.ts';

test('ranges that touch across pages are merged', () => {
  const damage = new FoundDamage();
  damage.add([{ offset: 0, length: 4 }]);
  damage.add([
    { offset: 4, length: 4 },
    { offset: 12, length: 4 },
  ]);
  damage.add([{ offset: 20, length: 4 }]);
  expect(damage).toMatchObject({
    bytes: 16,
    ranges: [
      { offset: 0, length: 8 },
      { offset: 12, length: 4 },
      { offset: 20, length: 4 },
    ],
    moreRanges: 0,
  });
});

test('ranges after the first thousand are only counted', () => {
  const damage = new FoundDamage();
  const page = (first: number) =>
    Array.from({ length: 600 }, (_, index) => ({ offset: (first + index) * 8, length: 4 }));
  damage.add(page(0));
  damage.add(page(600));
  damage.add([{ offset: 1199 * 8 + 4, length: 4 }]);
  damage.add([{ offset: 20_000, length: 4 }]);
  expect(damage.bytes).toBe(1202 * 4);
  expect(damage.ranges).toHaveLength(1000);
  expect(damage.ranges.at(-1)).toEqual({ offset: 999 * 8, length: 4 });
  expect(damage.moreRanges).toBe(201);
});
