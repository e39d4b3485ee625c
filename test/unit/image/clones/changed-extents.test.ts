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
/** What a byte of a hole, or one that is not in use, is in a copy. */
const ZERO = 'zero';

/** One byte of an image. */
interface ModelByte {
  /** Where on the disk it lies; null: in a hole, or where it cannot be told. */
  place: number | null;
  isUsed: boolean;
}

/** Places of two runs on a small disk: both images share some of it, in the same order and in others. */
const modelByte: fc.Arbitrary<ModelByte> = fc.record({
  place: fc.option(fc.nat(SIZE), { nil: null, freq: 6 }),
  isUsed: fc.boolean(),
});

/** Two images that are much alike, as one and its clone after a while are. */
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
        // Bytes that are alike lie one behind the other.
        const byte = typeof given === 'object' ? given : { place: index + 100, isUsed: given === true };
        pair[side].push(byte);
      }
    return pair;
  });

function usedOf(bytes: readonly ModelByte[]): Extent[] {
  return bytes.flatMap(({ isUsed }, offset) => (isUsed ? [{ offset, length: 1 }] : []));
}

/** As a file system tells them: runs of neighbours in as many pieces as it likes. */
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
  test('are in the same place where they are', () => {
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

  test('hold the same wherever nothing has changed, and have changed wherever that is not known', () => {
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

/** What a copy holds of it: each place of the disk holds something else. */
function copied(byte: ModelByte | undefined): string {
  if (byte?.isUsed !== true) return ZERO;
  return byte.place === null ? 'unknown' : `at ${byte.place}`;
}
