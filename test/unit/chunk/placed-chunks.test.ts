import { expect, test } from '@jest/globals';
import { chunkGridFor } from '../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { PlacedChunks } from '../../../src/chunk/placed-chunks.ts';

const CHUNK = 65_536;

function idOf(name: string | number): Uint8Array {
  return chunkId(Buffer.from(`chunk ${name}`));
}

/** A disk with these chunks; null: an empty one. */
function mapOf(names: readonly (string | number | null)[]): ChunkMap {
  const map = new ChunkMap(chunkGridFor(names.length * CHUNK));
  for (const [position, name] of names.entries()) if (name !== null) map.set(position, idOf(name));
  return map;
}

test('a chunk is found on the disk that was added first, and at its first place', () => {
  const placed = new PlacedChunks(100);
  expect(placed.isEmpty).toBe(true);
  placed.add(7, mapOf(['a', null, 'b', 'a']));
  placed.add(3, mapOf(['c', 'b']));
  expect(placed.isEmpty).toBe(false);
  expect(['a', 'b', 'c', 'd'].map((name) => placed.placeOf(idOf(name)))).toEqual([
    { disk: 7, position: 0 },
    { disk: 7, position: 2 },
    { disk: 3, position: 0 },
    null,
  ]);
  expect(placed.known.has(idOf('c'))).toBe(true);
});

test('all places are kept while it grows', () => {
  const count = 20_000;
  const placed = new PlacedChunks(count);
  placed.add(0, mapOf(Array.from({ length: count / 2 }, (_, number) => number)));
  placed.add(1, mapOf(Array.from({ length: count }, (_, number) => number)));
  for (let number = 0; number < count; number++) {
    const disk = number < count / 2 ? 0 : 1;
    if (placed.placeOf(idOf(number))?.disk !== disk) throw new Error(`chunk ${number}`);
    expect(placed.placeOf(idOf(number))?.position).toBe(number);
  }
});

test('the chunks of a disk can be forgotten, and make room for others', () => {
  const placed = new PlacedChunks(3);
  placed.add(0, mapOf(['a', 'b']));
  placed.add(1, mapOf(['b', 'c']));
  placed.forget(new Set([0]));
  expect(['a', 'b', 'c'].map((name) => placed.placeOf(idOf(name)))).toEqual([
    null,
    null,
    { disk: 1, position: 1 },
  ]);
  expect(placed.known.has(idOf('a'))).toBe(false);
  placed.add(2, mapOf(['d', 'b', 'e']));
  expect(['b', 'd', 'e'].map((name) => placed.placeOf(idOf(name))?.disk)).toEqual([2, 2, undefined]);
  placed.forget(new Set([1, 2]));
  expect(placed.isEmpty).toBe(true);
});

test('what does not fit is left out', () => {
  const placed = new PlacedChunks(3);
  placed.add(0, mapOf(['a', 'b']));
  placed.add(1, mapOf(['a', 'c', 'd', 'e']));
  expect(['a', 'b', 'c', 'd', 'e'].map((name) => placed.placeOf(idOf(name)) !== null)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});
