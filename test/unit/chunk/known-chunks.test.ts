import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkId } from '../../../src/chunk/chunk-id.ts';
import { KnownChunks } from '../../../src/chunk/known-chunks.ts';

/** Real ids of chunks, and ids with the same beginning, so that they want the same slot. */
const ids: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map((number) => chunkId(Buffer.from(String(number)))),
  fc.integer({ min: 0, max: 300 }).map((number) => {
    const id = new Uint8Array(32);
    id[31] = number & 0xff;
    id[15] = number >> 8;
    return id;
  }),
);

function hex(id: Uint8Array): string {
  return Buffer.from(id).toString('hex');
}

describe('known chunks', () => {
  test('behave like a set of the added ids', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ id: ids, isAdded: fc.boolean() }), { maxLength: 400 }),
        fc.nat({ max: 100 }),
        (steps, spare) => {
          const expected = new Set<string>();
          const known = KnownChunks.withRoomFor(new Set(steps.map(({ id }) => hex(id))).size + spare);
          const reader = KnownChunks.over(known.shared);
          for (const { id, isAdded } of steps) {
            expect(reader.has(id)).toBe(expected.has(hex(id)));
            if (!isAdded) continue;
            expect(known.add(id)).toBe(!expected.has(hex(id)));
            expected.add(hex(id));
          }
          for (const { id } of steps) expect(known.has(id)).toBe(expected.has(hex(id)));
        },
      ),
    );
  });

  test('hold as many ids as they were made for', () => {
    const count = 100_000;
    const known = KnownChunks.withRoomFor(count);
    const made = Array.from({ length: count }, (_, number) => chunkId(Buffer.from(`chunk ${number}`)));
    expect(made.every((id) => known.add(id))).toBe(true);
    expect(made.every((id) => known.has(id) && !known.add(id))).toBe(true);
    expect(known.has(chunkId(Buffer.from('another')))).toBe(false);
    expect(known.shared.byteLength).toBeLessThan(56 * count);
  });

  test.each([0, 1, 10])(
    'made for %d ids and full, call further ids new each time, and confuse none',
    (count) => {
      const known = KnownChunks.withRoomFor(count);
      const made = Array.from({ length: 200 }, (_, number) => chunkId(Buffer.from(`chunk ${number}`)));
      expect(made.every((id) => known.add(id))).toBe(true);
      const kept = made.filter((id) => known.has(id));
      expect(kept.length).toBeGreaterThanOrEqual(count);
      expect(kept.map(hex)).toEqual(made.slice(0, kept.length).map(hex));
      for (const id of made.slice(kept.length)) expect(known.add(id)).toBe(true);
    },
  );

  test('distinguish ids that differ in any one bit', () => {
    const id = chunkId(Buffer.from('a chunk'));
    const known = KnownChunks.withRoomFor(10);
    known.add(id);
    for (let bit = 0; bit < 256; bit++) {
      const other = Uint8Array.from(id);
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(known.has(other)).toBe(false);
    }
    expect(known.has(id)).toBe(true);
  });

  test('refuse ids of another length', () => {
    const known = KnownChunks.withRoomFor(10);
    expect(() => known.add(new Uint8Array(31))).toThrow(RangeError);
    expect(() => known.has(new Uint8Array(33))).toThrow(RangeError);
  });
});
