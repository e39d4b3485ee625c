import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkGridFor } from '../../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../../src/chunk/chunk-id.ts';
import { ChunkMap, chunkMapText } from '../../../../src/chunk/chunk-map.ts';
import { Failure } from '../../../../src/failure.ts';
import { pageCount, pageText, readPageText } from '../../../../src/repository/chunk-index/chunk-map-page.ts';

/** Three full pages and a part of a fourth. */
const grid = chunkGridFor(3.2 * 4096 * 65_536);
const positions = fc.uniqueArray(fc.integer({ min: 0, max: grid.chunkCount - 1 }), { maxLength: 300 });

function mapOf(held: readonly number[]): ChunkMap {
  const map = new ChunkMap(grid);
  for (const position of held) map.set(position, chunkId(Buffer.from(`${position}`)));
  return map;
}

function pagesOf(map: ChunkMap): string[] {
  return Array.from({ length: pageCount(map.grid) }, (_, page) => pageText(map, page));
}

describe('pages of a chunk map', () => {
  test('are the map’s own text after its header', () => {
    fc.assert(
      fc.property(positions, (held) => {
        const map = mapOf(held);
        const header = `vmferry-chunk-map 1\nimage-bytes ${grid.imageBytes}\nchunk-bytes ${grid.chunkBytes}\n`;
        expect(header + pagesOf(map).join('')).toBe([...chunkMapText(map)].join(''));
      }),
    );
  });

  test('give the map back', () => {
    fc.assert(
      fc.property(positions, (held) => {
        const map = mapOf(held);
        const back = new ChunkMap(grid);
        for (const [page, text] of pagesOf(map).entries()) readPageText(text, page, back);
        expect(back.fingerprint()).toBe(map.fingerprint());
      }),
    );
  });

  test('stay the same if nothing in them changes', () => {
    const before = pagesOf(mapOf([1, 5000, 9000]));
    const after = pagesOf(mapOf([1, 5000, 5001, 9000]));
    expect(after.map((text, page) => text === before[page])).toEqual([true, false, true, true]);
  });

  const id = 'ab'.repeat(32);
  test.each([
    ['ends in a line', `4096 ${id}`],
    ['has a line that is none', `4096 ${id} x\n`],
    ['has a position of the page before', `4095 ${id}\n`],
    ['has a position of the page after', `8192 ${id}\n`],
    ['goes backwards', `5000 ${id}\n4999 ${id}\n`],
    ['says one position twice', `5000 ${id}\n5000 ${id}\n`],
    ['has an empty line', `\n`],
    ['has an id of nothing but zeros', `5000 ${'0'.repeat(64)}\n`],
  ])('are refused when one %s', (_how, text) => {
    expect(() => readPageText(text, 1, new ChunkMap(grid))).toThrow(Failure);
  });

  test('are refused beyond the end of the image', () => {
    expect(() => readPageText(`${grid.chunkCount} ${id}\n`, 3, new ChunkMap(grid))).toThrow(Failure);
  });
});
