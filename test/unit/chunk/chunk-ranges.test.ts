import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rangesOf } from '../../../src/chunk/chunk-ranges.ts';
import {
  formatMessage,
  LINE_LIMIT_BYTES,
  MOST_RANGES,
  parseMoverMessage,
} from '../../../src/wire/messages.ts';

test('neighbours become one range, and no list has too many', () => {
  expect([...rangesOf([], 2)]).toEqual([]);
  expect([...rangesOf([0, 1, 2, 5, 7, 8, 20], 2)]).toEqual([
    [
      [0, 3],
      [5, 1],
    ],
    [
      [7, 2],
      [20, 1],
    ],
  ]);
});

test('ranges are the positions again', () => {
  const positions = fc.uniqueArray(fc.nat({ max: 200 })).map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(positions, fc.integer({ min: 1, max: 5 }), (list, most) => {
      const lists = [...rangesOf(list, most)];
      for (const ranges of lists) expect(ranges.length).toBeLessThanOrEqual(most);
      const again = lists
        .flat()
        .flatMap(([first, count]) => Array.from({ length: count }, (_, at) => first + at));
      expect(again).toEqual(list);
    }),
  );
});

test('the longest list of ranges fits into a line, and is understood', () => {
  const ranges = Array.from({ length: MOST_RANGES }, () => [2 ** 20 - 1, 2 ** 20 - 1] as const);
  const line = formatMessage({ type: 'clear', disk: 255, ranges });
  expect(Buffer.byteLength(line)).toBeLessThan(LINE_LIMIT_BYTES);
  expect(parseMoverMessage(line)).toMatchObject({ type: 'clear', disk: 255 });
});
