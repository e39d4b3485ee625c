import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkGridFor, MOST_CHUNKS } from '../../../src/chunk/chunk-grid.ts';
import { chunkId, isAllZero } from '../../../src/chunk/chunk-id.ts';
import { ChunkMap, chunkMapText, parseChunkMap } from '../../../src/chunk/chunk-map.ts';
import { Failure } from '../../../src/failure.ts';

const CHUNK = 65536;
const id = (seed: number) => chunkId(Buffer.from(String(seed)));

function textOf(map: ChunkMap): string {
  return [...chunkMapText(map)].join('');
}

/** The text cut into pieces at the given places. */
function cut(text: string, places: readonly number[]): string[] {
  const ends = [...places.map((place) => place % (text.length + 1)), text.length].sort((a, b) => a - b);
  return ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end));
}

const maps = fc
  .record({
    imageBytes: fc.integer({ min: 1, max: 80 * 128 }).map((sectors) => sectors * 512),
    seeds: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 60 }),
  })
  .map(({ imageBytes, seeds }) => {
    const map = new ChunkMap(chunkGridFor(imageBytes));
    for (const [place, seed] of seeds) map.set(place % map.grid.chunkCount, id(seed));
    return map;
  });

function expectDamaged(text: string): void {
  let thrown: unknown = null;
  try {
    parseChunkMap([text]);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Failure);
  expect(thrown).toHaveProperty('code', 'pack-damaged');
}

describe('a chunk map', () => {
  test('is the same after a round trip through its text, cut anywhere', () => {
    fc.assert(
      fc.property(maps, fc.array(fc.nat(), { maxLength: 8 }), (map, places) => {
        const read = parseChunkMap(cut(textOf(map), places));
        expect(read.grid).toEqual(map.grid);
        expect(textOf(read)).toBe(textOf(map));
        expect(read.fingerprint()).toBe(map.fingerprint());
      }),
    );
  });

  test('has the SHA-256 of its text as its fingerprint', () => {
    fc.assert(
      fc.property(maps, (map) => {
        const sha256 = createHash('sha256').update(textOf(map)).digest('hex');
        expect(map.fingerprint()).toBe(`sha256:${sha256}`);
      }),
    );
  });

  test('has the documented text', () => {
    const map = new ChunkMap(chunkGridFor(3 * CHUNK - 512));
    map.set(0, id(1));
    map.set(2, id(2));
    const hex = (seed: number) => Buffer.from(id(seed)).toString('hex');
    expect(textOf(map)).toBe(
      `vmferry-chunk-map 1\nimage-bytes 196096\nchunk-bytes 65536\n0 ${hex(1)}\n2 ${hex(2)}\n`,
    );
  });

  test('of an image without data is its header', () => {
    const map = new ChunkMap(chunkGridFor(512));
    expect(textOf(map)).toBe('vmferry-chunk-map 1\nimage-bytes 512\nchunk-bytes 65536\n');
    expect(map.get(0)).toBeNull();
  });

  test('takes no chunk outside of the image', () => {
    const map = new ChunkMap(chunkGridFor(CHUNK));
    for (const position of [-1, 1, 2 ** 32, NaN]) expect(() => map.set(position, id(1))).toThrow(RangeError);
  });

  test('of the largest size, full, gives its text in pieces', () => {
    const map = new ChunkMap(chunkGridFor(MOST_CHUNKS * CHUNK));
    const any = id(7);
    for (let position = 0; position < MOST_CHUNKS; position += 16) map.set(position, any);
    const sizes = [...chunkMapText(map)].map((piece) => piece.length);
    expect(sizes.length).toBeGreaterThan(10);
    expect(Math.max(...sizes)).toBeLessThan(2 ** 19);
  });
});

describe('fingerprints', () => {
  /** An image of a few chunks, with few different byte values. */
  const images = fc.array(fc.constantFrom(0, 0, 1, 2), { minLength: 1, maxLength: 4 }).chain((kinds) =>
    fc.integer({ min: 1, max: 128 }).map((sectors) => {
      const bytes = Buffer.alloc((kinds.length - 1) * CHUNK + sectors * 512);
      for (const [index, kind] of kinds.entries()) bytes[index * CHUNK + 100] = kind;
      return bytes;
    }),
  );

  function fingerprintOf(image: Uint8Array): string {
    const map = new ChunkMap(chunkGridFor(image.length));
    for (let position = 0; position < map.grid.chunkCount; position++) {
      const chunk = image.subarray(position * CHUNK, (position + 1) * CHUNK);
      if (!isAllZero(chunk)) map.set(position, chunkId(chunk));
    }
    return map.fingerprint();
  }

  test('are equal exactly if the bytes are', () => {
    fc.assert(
      fc.property(images, images, (first, second) => {
        expect(fingerprintOf(first) === fingerprintOf(second)).toBe(first.equals(second));
        expect(fingerprintOf(Buffer.from(first))).toBe(fingerprintOf(first));
      }),
    );
  });

  test('change with any byte', () => {
    fc.assert(
      fc.property(images, fc.nat(), fc.integer({ min: 1, max: 255 }), (image, place, change) => {
        const other = Buffer.from(image);
        other[place % other.length] = (other[place % other.length] ?? 0) ^ change;
        expect(fingerprintOf(other)).not.toBe(fingerprintOf(image));
      }),
    );
  });
});

describe('a damaged map is refused:', () => {
  const header = 'vmferry-chunk-map 1\nimage-bytes 196608\nchunk-bytes 65536\n';
  const hex = (seed: number) => Buffer.from(id(seed)).toString('hex');

  test.each([
    ['nothing', ''],
    ['another format', 'vmferry-chunk-map 2\nimage-bytes 196608\nchunk-bytes 65536\n'],
    ['no sizes', 'vmferry-chunk-map 1\n'],
    ['half a header', 'vmferry-chunk-map 1\nimage-bytes 196608\n'],
    ['carriage returns', header.replaceAll('\n', '\r\n')],
    ['a size of 0', header.replace('196608', '0')],
    ['a negative size', header.replace('196608', '-512')],
    ['a size with a leading zero', header.replace('196608', '0196608')],
    ['a hexadecimal size', header.replace('196608', '0x30000')],
    ['a size beyond all numbers', header.replace('196608', '9'.repeat(400))],
    ['chunks of another size', header.replace('65536', '131072')],
    ['sizes the other way round', 'vmferry-chunk-map 1\nchunk-bytes 65536\nimage-bytes 196608\n'],
    ['a position outside', `${header}3 ${hex(1)}\n`],
    ['a position far outside', `${header}${'9'.repeat(30)} ${hex(1)}\n`],
    ['a negative position', `${header}-1 ${hex(1)}\n`],
    ['a position with a leading zero', `${header}01 ${hex(1)}\n`],
    ['a position twice', `${header}1 ${hex(1)}\n1 ${hex(1)}\n`],
    ['positions out of order', `${header}1 ${hex(1)}\n0 ${hex(2)}\n`],
    ['an id that is too short', `${header}1 ${hex(1).slice(1)}\n`],
    ['an id in capitals', `${header}1 ${hex(1).toUpperCase()}\n`],
    ['an id of zeros', `${header}1 ${'0'.repeat(64)}\n`],
    ['no id', `${header}1\n`],
    ['no position', `${header}${hex(1)}\n`],
    ['an empty line', `${header}\n`],
    ['two spaces', `${header}1  ${hex(1)}\n`],
    ['no line end', `${header}1 ${hex(1)}`],
    ['a line without end', header + '1'.repeat(5000)],
  ])('%s', (_, text) => {
    expectDamaged(text);
  });

  test('any text gives either a valid map or a Failure', () => {
    fc.assert(
      fc.property(maps, fc.nat(), fc.string({ minLength: 0, maxLength: 3 }), (map, place, replacement) => {
        const text = textOf(map);
        const at = place % text.length;
        const changed = text.slice(0, at) + replacement + text.slice(at + 1);
        let read: ChunkMap;
        try {
          read = parseChunkMap([changed]);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
          return;
        }
        expect(textOf(read)).toBe(changed);
      }),
      { numRuns: 500 },
    );
  });
});
