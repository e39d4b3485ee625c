import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ChunkGrid } from '../../../src/chunk/chunk-grid.ts';
import { extentsInChunks, extentsOfChunks, touchedChunks } from '../../../src/chunk/chunk-marks.ts';
import { mergeTouching, type Extent } from '../../../src/extent/extents.ts';

const grid: ChunkGrid = { imageBytes: 37, chunkBytes: 8, chunkCount: 5 };

const extentLists: fc.Arbitrary<Extent[]> = fc
  .array(fc.boolean(), { minLength: grid.imageBytes, maxLength: grid.imageBytes })
  .map((bytes) => [...mergeTouching(bytes.flatMap((isIn, offset) => (isIn ? [{ offset, length: 1 }] : [])))]);

const bytesOf = (extents: Iterable<Extent>): number[] =>
  [...extents].flatMap(({ offset, length }) => Array.from({ length }, (_, index) => offset + index));
const chunkOf = (offset: number) => Math.floor(offset / grid.chunkBytes);

test('a chunk is touched exactly if one of its bytes is', () => {
  fc.assert(
    fc.property(extentLists, (extents) => {
      const chunks = new Set(bytesOf(extents).map(chunkOf));
      const touched = [...touchedChunks(extents.toReversed(), grid)];
      expect(touched).toEqual([0, 1, 2, 3, 4].map((position) => (chunks.has(position) ? 1 : 0)));
    }),
  );
});

test('extents in chunks are their bytes in these chunks', () => {
  fc.assert(
    fc.property(extentLists, fc.uniqueArray(fc.nat(4)), (extents, meant) => {
      const found = [...extentsInChunks(extents, grid, (position) => meant.includes(position))];
      expect(bytesOf(found)).toEqual(bytesOf(extents).filter((offset) => meant.includes(chunkOf(offset))));
      expect(found.every(({ length }) => length > 0)).toBe(true);
    }),
  );
});

test('extents of chunks: neighbours are one, and the last chunk is shorter', () => {
  expect([...extentsOfChunks([0, 1, 3, 4], grid)]).toEqual([
    { offset: 0, length: 16 },
    { offset: 24, length: 13 },
  ]);
  expect([...extentsOfChunks([4], grid)]).toEqual([{ offset: 32, length: 5 }]);
  expect([...extentsOfChunks([], grid)]).toEqual([]);
});
