import { describe, expect, test } from '@jest/globals';
import { chunkGridFor } from '../../../../src/chunk/chunk-grid.ts';
import { ChunkMap } from '../../../../src/chunk/chunk-map.ts';
import { missingText, plainBytesOf } from '../../../../src/operations/restore/byte-ranges.ts';

const CHUNK = 64 * 1024;

describe('ranges of chunks', () => {
  test('are shown by first and last byte, up to a limit', () => {
    const ranges = [0, 2, 4].map((position) => ({ offset: position * CHUNK, length: CHUNK }));
    expect(missingText('web.img', 5 * CHUNK, ranges, 9)).toBe(
      '196608 of 327680 bytes of web.img: 0-65535, 131072-196607, 262144-327679',
    );
    expect(missingText('web.img', 5 * CHUNK, ranges, 1)).toBe(
      '196608 of 327680 bytes of web.img: 0-65535, and 2 more ranges',
    );
  });

  test('plain bytes are those of chunks that are not empty', () => {
    const map = new ChunkMap(chunkGridFor(2 * CHUNK + 512));
    map.set(0, Buffer.alloc(32, 1));
    map.set(2, Buffer.alloc(32, 2));
    expect(plainBytesOf(map)).toBe(CHUNK + 512);
  });
});
