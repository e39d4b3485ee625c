import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  chunkGridFor,
  chunkLength,
  frameLimitBytes,
  MOST_CHUNKS,
  SMALLEST_CHUNK_BYTES,
} from '../../../src/chunk/chunk-grid.ts';

const KIB = 2 ** 10;
const GIB = 2 ** 30;
const imageBytes = fc
  .double({ min: 0, max: 50, noNaN: true })
  .map((exponent) => Math.max(512, Math.floor(2 ** exponent / 512) * 512));

describe('the chunk grid of an image', () => {
  test.each([
    [512, 64 * KIB],
    [64 * GIB, 64 * KIB],
    [64 * GIB + 512, 128 * KIB],
    [2 * 2 ** 40, 2048 * KIB],
  ])('of %d bytes has chunks of %d', (image, chunk) => {
    expect(chunkGridFor(image).chunkBytes).toBe(chunk);
  });

  test('has the smallest chunk size that keeps the map within its limit', () => {
    fc.assert(
      fc.property(imageBytes, (image) => {
        const { chunkBytes, chunkCount } = chunkGridFor(image);
        expect(chunkCount).toBeLessThanOrEqual(MOST_CHUNKS);
        expect(Number.isInteger(Math.log2(chunkBytes))).toBe(true);
        const isSmallest = chunkBytes === SMALLEST_CHUNK_BYTES || (chunkBytes / 2) * MOST_CHUNKS < image;
        expect(isSmallest).toBe(true);
      }),
    );
  });

  test('covers the image exactly: whole chunks, and a last one that is not empty', () => {
    fc.assert(
      fc.property(imageBytes, (image) => {
        const grid = chunkGridFor(image);
        const last = chunkLength(grid, grid.chunkCount - 1);
        expect(last).toBeGreaterThan(0);
        expect(last).toBeLessThanOrEqual(grid.chunkBytes);
        expect((grid.chunkCount - 1) * grid.chunkBytes + last).toBe(image);
        if (grid.chunkCount > 1) expect(chunkLength(grid, 0)).toBe(grid.chunkBytes);
      }),
    );
  });

  test('has frames that hold a whole number of chunks', () => {
    fc.assert(
      fc.property(imageBytes, (image) => {
        const grid = chunkGridFor(image);
        expect(frameLimitBytes(grid) % grid.chunkBytes).toBe(0);
        expect(frameLimitBytes(grid)).toBeGreaterThanOrEqual(2 ** 20);
      }),
    );
  });
});
