import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  changedExtents,
  samePlaces,
  type ComparedImage,
  type PlacedExtent,
} from '../../../../src/image/clones/changed-extents.ts';
import type { Extent } from '../../../../src/extent/extents.ts';

const SIZE = 48;
/** The content in a copy of a byte in a hole, or of a byte that is not in use. */
const ZERO = 'zero';

/** One byte of an image. */
interface ModelByte {
  /** Its place on the disk; null for a hole, or if the place is unknown. */
  place: number | null;
  isUsed: boolean;
}

/** Places in two runs on a small disk: the images share some of them, in the same order or another. */
const modelByte: fc.Arbitrary<ModelByte> = fc.record({
  place: fc.option(fc.nat(SIZE), { nil: null, freq: 6 }),
  isUsed: fc.boolean(),
});

/** Two similar images, like an image and its older clone. */
const pairs: fc.Arbitrary<[ModelByte[], ModelByte[]]> = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: fc.boolean().map((isUsed) => [isUsed, isUsed]) },
      { weight: 1, arbitrary: fc.tuple(modelByte, modelByte) },
    ),
    { minLength: SIZE, maxLength: SIZE },
  )
  .map((bytes) => {
    const pair: [ModelByte[], ModelByte[]] = [[], []];
    for (const [index, both] of bytes.entries())
      for (const side of [0, 1] as const) {
        const given = both[side];
        // Bytes of the same kind lie one after the other.
        const byte = typeof given === 'object' ? given : { place: index + 100, isUsed: given === true };
        pair[side].push(byte);
      }
    return pair;
  });

function usedOf(bytes: readonly ModelByte[]): Extent[] {
  return bytes.flatMap(({ isUsed }, offset) => (isUsed ? [{ offset, length: 1 }] : []));
}

/** The places as a file system gives them: runs of neighbours, in any number of pieces. */
function placesOf(bytes: readonly ModelByte[], pieceLength: number): PlacedExtent[] {
  const extents: PlacedExtent[] = [];
  for (const [offset, { place }] of bytes.entries()) {
    if (place === null) continue;
    const last = extents.at(-1);
    const continues =
      last?.offset === offset - (last?.length ?? 0) &&
      last.place + last.length === place &&
      last.length < pieceLength;
    if (continues) last.length++;
    else extents.push({ offset, length: 1, place });
  }
  return extents;
}

function comparedOf(bytes: readonly ModelByte[], pieceLength: number): ComparedImage {
  return { used: () => usedOf(bytes), places: () => placesOf(bytes, pieceLength) };
}

function bytesIn(extents: Iterable<Extent>): Set<number> {
  const offsets = new Set<number>();
  for (const { offset, length } of extents)
    for (let at = offset; at < offset + length; at++) {
      expect(length).toBeGreaterThan(0);
      offsets.add(at);
    }
  return offsets;
}

const pieceLengths = fc.integer({ min: 1, max: SIZE });

describe('two images, byte by byte', () => {
  test('have the same place exactly where both places are known and equal', () => {
    fc.assert(
      fc.property(pairs, pieceLengths, pieceLengths, ([now, before], first, second) => {
        const same = bytesIn(samePlaces(placesOf(now, first), placesOf(before, second)));
        for (let offset = 0; offset < SIZE; offset++) {
          const place = now[offset]?.place ?? null;
          expect(same.has(offset)).toBe(place !== null && place === before[offset]?.place);
        }
      }),
    );
  });

  test('have changed exactly where their content is not known to be equal', () => {
    fc.assert(
      fc.property(pairs, pieceLengths, pieceLengths, ([now, before], first, second) => {
        const changed = bytesIn(changedExtents(comparedOf(now, first), comparedOf(before, second)));
        for (let offset = 0; offset < SIZE; offset++) {
          const [content, then] = [now[offset], before[offset]].map((byte) => copied(byte));
          const isKnown = content !== 'unknown' && content === then;
          expect(changed.has(offset)).toBe(!isKnown);
        }
      }),
    );
  });
});

/** The content of the byte in a copy. Each place of the disk holds something else. */
function copied(byte: ModelByte | undefined): string {
  if (byte?.isUsed !== true) return ZERO;
  return byte.place === null ? 'unknown' : `at ${byte.place}`;
}
