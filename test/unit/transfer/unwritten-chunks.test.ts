import { expect, test } from '@jest/globals';
import { chunkGridFor, chunkLength, type ChunkGrid } from '../../../src/chunk/chunk-grid.ts';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { ChunkMap } from '../../../src/chunk/chunk-map.ts';
import { chunkUsage, isSameUsage, USAGE_BYTES } from '../../../src/chunk/chunk-usage.ts';
import { KnownChunks } from '../../../src/chunk/known-chunks.ts';
import { mergeTouching, type Extent } from '../../../src/extent/extents.ts';
import { unwrittenChunks } from '../../../src/transfer/unwritten-chunks.ts';
import { seededRandom, testSeed } from '../../support/seeded-random.ts';

const BLOCK = 4096;
const CHUNK = 65_536;
/** The last chunk is cut short. */
const grid = chunkGridFor(24 * CHUNK + 3 * BLOCK);
const blockCount = grid.imageBytes / BLOCK;

/** A disk whose blocks hold one byte value each, and which of them its file system uses. */
interface Disk {
  values: number[];
  used: boolean[];
}

const extentsOf = (blocks: readonly boolean[]): Extent[] => [
  ...mergeTouching(blocks.flatMap((isIn, index) => (isIn ? [{ offset: index * BLOCK, length: BLOCK }] : []))),
];

/** What reading everything gives. */
function mapOf({ values, used }: Disk): ChunkMap {
  const map = new ChunkMap(grid);
  for (let position = 0; position < grid.chunkCount; position++) {
    const bytes = Buffer.alloc(chunkLength(grid, position));
    for (let at = 0; at < bytes.length; at += BLOCK) {
      const block = (position * CHUNK + at) / BLOCK;
      if (used[block] === true) bytes.fill(values[block] ?? 0, at, at + BLOCK);
    }
    if (bytes.some((byte) => byte !== 0)) map.set(position, chunkId(bytes));
  }
  return map;
}

function knownOf(map: ChunkMap, isKept: (position: number) => boolean): KnownChunks {
  const known = KnownChunks.withRoomFor(map.grid.chunkCount);
  for (let position = 0; position < map.grid.chunkCount; position++) {
    const id = map.get(position);
    if (id !== null && isKept(position)) known.add(id);
  }
  return known;
}

test('what was not written, and is used as before, has the ids that reading all gives', () => {
  const seed = testSeed();
  const random = seededRandom(seed);
  let leftOut = 0;
  for (let round = 0; round < 60; round++) {
    const rarely = random() * 0.2;
    const before: Disk = {
      values: Array.from({ length: blockCount }, () => (random() < 0.1 ? 0 : Math.ceil(random() * 255))),
      // Long runs of used and of free blocks, so that chunks are whole, empty and partly used.
      used: runs(random),
    };
    // Any block may be written, in use or free; metadata elsewhere may set free, or use, blocks that nobody writes.
    const written = before.values.map(() => random() < rarely);
    const now: Disk = {
      values: before.values.map((value, block) => (written[block] ? Math.floor(random() * 256) : value)),
      used: before.used.map((isUsed) => (random() < rarely / 10 ? !isUsed : isUsed)),
    };
    const earlier = mapOf(before);
    const known = knownOf(earlier, () => random() < 0.95);
    const { map, marks, count } = unwrittenChunks(
      { used: extentsOf(now.used), usage: chunkUsage(extentsOf(now.used), grid) },
      { map: earlier, usage: chunkUsage(extentsOf(before.used), grid), written: extentsOf(written) },
      known,
    );
    const truth = mapOf(now);
    for (let position = 0; position < grid.chunkCount; position++) {
      const expected = marks[position] === 1 ? truth.get(position) : null;
      const found = map.get(position);
      if (
        (found === null) !== (expected === null) ||
        (found && Buffer.compare(found, expected ?? found) !== 0)
      )
        throw new Error(`seed ${seed}, round ${round}: the chunk ${position} has another id`);
      if (found !== null) expect(known.has(found)).toBe(true);
    }
    expect(count).toBe(marks.filter((mark) => mark === 1).length);
    leftOut += count;
  }
  expect(leftOut).toBeGreaterThan(60);
});

test('a chunk of which other bytes are in use is read, although nothing was written to it', () => {
  const values = Array.from({ length: blockCount }, () => 7);
  const before: Disk = { values, used: values.map(() => true) };
  const now: Disk = { values, used: values.map((_, block) => block !== 3) };
  const { marks } = unwrittenChunks(
    { used: extentsOf(now.used), usage: chunkUsage(extentsOf(now.used), grid) },
    { map: mapOf(before), usage: chunkUsage(extentsOf(before.used), grid), written: [] },
    knownOf(mapOf(before), () => true),
  );
  expect([...marks]).toEqual([0, ...Array.from({ length: grid.chunkCount - 1 }, () => 1)]);
});

test('the usage of a chunk tells apart which of its bytes are in use', () => {
  const of = (...used: Extent[]) => chunkUsage(used, grid);
  const nothing = of();
  expect(nothing).toHaveLength(grid.chunkCount * USAGE_BYTES);
  const cases = [
    nothing,
    of({ offset: 0, length: CHUNK }),
    of({ offset: 0, length: BLOCK }),
    of({ offset: BLOCK, length: BLOCK }),
    of({ offset: 0, length: 2 * BLOCK }),
    of({ offset: 0, length: BLOCK }, { offset: 2 * BLOCK, length: BLOCK }),
  ];
  for (const [index, one] of cases.entries())
    for (const [other, usage] of cases.entries()) expect(isSameUsage(one, usage, 0)).toBe(index === other);
  // Extents that reach over chunks count for each of them.
  const across = of({ offset: BLOCK, length: 3 * CHUNK });
  expect(isSameUsage(across, of({ offset: BLOCK, length: CHUNK - BLOCK }), 0)).toBe(true);
  expect(isSameUsage(across, of({ offset: CHUNK, length: CHUNK }), 1)).toBe(true);
  expect(isSameUsage(across, of({ offset: 3 * CHUNK, length: BLOCK }), 3)).toBe(true);
  expect(isSameUsage(across, nothing, 4)).toBe(true);
  expect(isSameUsage(of(whole(grid)), of({ offset: 24 * CHUNK, length: 3 * BLOCK }), 24)).toBe(true);
});

const whole = ({ imageBytes }: ChunkGrid): Extent => ({ offset: 0, length: imageBytes });

function runs(random: () => number): boolean[] {
  const blocks: boolean[] = [];
  for (let isUsed = random() < 0.5; blocks.length < blockCount; isUsed = !isUsed)
    for (let left = Math.ceil(random() * 40); left > 0 && blocks.length < blockCount; left--)
      blocks.push(isUsed);
  return blocks;
}
