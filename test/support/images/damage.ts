import { expect } from '@jest/globals';
import fc from 'fast-check';
import { type Extent, mergeTouching, subtract, totalLength } from '../../../src/extent/extents.ts';
import type { FileSystem } from '../../../src/image/file-systems/file-system.ts';
import { HEAD_BYTES } from '../../../src/image/file-systems/signatures.ts';
import type { ReadAt } from '../../../src/image/source/read-at.ts';
import { testSeed } from '../seeded-random.ts';

/** Damaged images that a test makes of each file system; the nightly run makes more. */
const MUTATIONS = Number(process.env['VMFERRY_MUTATIONS'] ?? 500);

/**
 * For one property of several of a file system.
 * @param usual how many damaged images it has at least
 * @param share its part of all that are made of the file system
 */
export function mutationsOf(usual: number, share: number): { seed: number; numRuns: number } {
  return { seed: testSeed(), numRuns: Math.max(usual, Math.ceil(MUTATIONS * share)) };
}

/** The image in memory, with bytes changed: each change is a place in it, and what to xor the byte there with. */
export function damagedReader(image: Uint8Array, changes: ReadonlyMap<number, number>): ReadAt {
  return (offset, length) => {
    if (!(offset >= 0 && length >= 0 && offset + length <= image.length && length <= 2 ** 20))
      throw new Error(`a read of ${length} bytes at ${offset}`);
    const bytes = image.slice(offset, offset + length);
    for (const [position, xor] of changes) {
      const index = position - offset;
      if (index >= 0 && index < length) bytes[index] = (bytes[index] ?? 0) ^ xor;
    }
    return bytes;
  };
}

/** Arbitrary changes of bytes in these places. */
export function changesAt(places: readonly Extent[], width: 'bits' | 'bytes', most: number) {
  const total = totalLength(places);
  const position = fc.nat(total - 1).map((index) => {
    let rest = index;
    for (const { offset, length } of places) {
      if (rest < length) return offset + rest;
      rest -= length;
    }
    throw new Error('no such place');
  });
  const xor = width === 'bits' ? fc.nat(7).map((bit) => 1 << bit) : fc.integer({ min: 1, max: 255 });
  return fc.array(fc.tuple(position, xor), { minLength: 1, maxLength: most }).map((pairs) => new Map(pairs));
}

/**
 * Checks that only free blocks of the sound image are skipped, and that the extents are sorted, disjoint and inside of
 * it.
 */
export function expectNothingMissed(
  fileSystem: FileSystem,
  read: ReadAt,
  sizeBytes: number,
  used: readonly Extent[],
): void {
  const identity = fileSystem.identify(read(0, Math.min(sizeBytes, HEAD_BYTES)));
  // Nothing is skipped then, and nothing must be wrong with looking further.
  const isSkipped = identity !== null && identity.dirtyReason === null;
  const usage = fileSystem.checkUsage(read, sizeBytes);
  const found = [...fileSystem.usedExtents(read, sizeBytes)];
  expectEqual([...mergeTouching(found)], found);
  const end = found.at(-1);
  expect((end?.offset ?? 0) + (end?.length ?? 0)).toBeLessThanOrEqual(sizeBytes);
  if (!usage.understood || !isSkipped) return;
  expect(totalLength(found)).toBeGreaterThanOrEqual(usage.usedBytes);
  expectEqual([...subtract(used, found)], []);
}

/** As `toEqual`, which takes milliseconds for hundreds of extents. */
function expectEqual(extents: readonly Extent[], expected: readonly Extent[]): void {
  const isEqual =
    extents.length === expected.length &&
    extents.every(({ offset, length }, index) => {
      const other = expected[index];
      return offset === other?.offset && length === other.length;
    });
  if (!isEqual) expect(extents).toEqual(expected);
}

/**
 * Damages the metadata of a sound image in many ways: single bits, and several bytes at once.
 * @param used what the file system's own tools call used in the sound image
 * @param places where the parser reads
 * @param share the part of the mutations that these places get
 */
export function expectDamageNoticed(
  fileSystem: FileSystem,
  image: Uint8Array,
  used: readonly Extent[],
  places: readonly Extent[],
  share = 1,
): void {
  const seed = testSeed();
  const check = (changes: ReadonlyMap<number, number>): void => {
    const read = damagedReader(image, changes);
    fileSystem.estimateUsedBytes(read, image.length);
    expectNothingMissed(fileSystem, read, image.length, used);
  };
  check(new Map());
  // fast-check prints the seed of a failure: VMFERRY_TEST_SEED repeats it.
  const parameters = { seed, numRuns: Math.ceil((MUTATIONS * share) / 2) };
  fc.assert(fc.property(changesAt(places, 'bits', 1), check), parameters);
  fc.assert(fc.property(changesAt(places, 'bytes', 8), check), parameters);
}
