import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkId } from '../../../../src/chunk/chunk-id.ts';
import { LiveChunks } from '../../../../src/repository/chunk-index/live-chunks.ts';

function idOf(number: number): Uint8Array {
  return chunkId(Buffer.from(String(number)));
}

test('numbers ids in the order of their first adding', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), (numbers) => {
      const live = new LiveChunks();
      for (const number of numbers) live.add(idOf(number));
      const distinct = [...new Set(numbers)];
      expect(live.count).toBe(distinct.length);
      expect(distinct.map((number) => live.numberOf(idOf(number)))).toEqual([...distinct.keys()]);
      expect(live.numberOf(idOf(51))).toBe(-1);
    }),
  );
});

test('grows', () => {
  const live = new LiveChunks();
  for (let number = 0; number < 5000; number++) live.add(idOf(number));
  expect(live.count).toBe(5000);
  for (const number of [0, 1023, 1024, 4999]) expect(live.numberOf(idOf(number))).toBe(number);
});
