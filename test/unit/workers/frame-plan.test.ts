import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkGridFor, frameLimitBytes, type ChunkGrid } from '../../../src/chunk/chunk-grid.ts';
import { planFrames, type FramePlan } from '../../../src/workers/frame-plan.ts';
import type { Extent } from '../../../src/extent/extents.ts';

const CHUNK = 65536;
const SECTOR = 512;

/** Sorted, disjoint extents in whole sectors; gaps of 0 make some touch. */
const extentsIn = (sectors: number) =>
  fc
    .array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 1, max: 700 })), { maxLength: 60 })
    .map((pairs) => {
      const extents: Extent[] = [];
      let at = 0;
      for (const [gap, length] of pairs) {
        const offset = at + gap;
        const end = Math.min(offset + length, sectors);
        if (end <= offset) break;
        extents.push({ offset: offset * SECTOR, length: (end - offset) * SECTOR });
        at = end;
      }
      return extents;
    });

const cases = fc
  .integer({ min: 1, max: 10_000 })
  .chain((sectors) => fc.record({ imageBytes: fc.constant(sectors * SECTOR), extents: extentsIn(sectors) }));

/** For each sector to read, the frame that must hold it, and its place in the frame's buffer. */
function modelOf(extents: Iterable<Extent>, grid: ChunkGrid): Map<number, string> {
  const perFrame = frameLimitBytes(grid) / grid.chunkBytes;
  const positions: number[] = [];
  const places = new Map<number, string>();
  for (const { offset, length } of extents) {
    for (let at = offset; at < offset + length; at += SECTOR) {
      const position = Math.floor(at / grid.chunkBytes);
      if (positions.at(-1) !== position) positions.push(position);
      const index = positions.length - 1;
      const slot = (index % perFrame) * grid.chunkBytes;
      places.set(at, `${Math.floor(index / perFrame)} ${slot + (at % grid.chunkBytes)}`);
    }
  }
  return places;
}

function placesOf(plans: readonly FramePlan[]): Map<number, string> {
  const places = new Map<number, string>();
  for (const [frame, { reads }] of plans.entries()) {
    for (const { offset, into, length } of reads) {
      for (let done = 0; done < length; done += SECTOR) {
        if (places.has(offset + done)) throw new Error(`byte ${offset + done} is read twice`);
        places.set(offset + done, `${frame} ${into + done}`);
      }
    }
  }
  return places;
}

function expectOrdered(plans: readonly FramePlan[], grid: ChunkGrid): void {
  const positions = plans.flatMap((plan) => plan.positions);
  expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
  for (const plan of plans) {
    expect(plan.positions.length).toBeGreaterThan(0);
    expect(plan.positions.length * grid.chunkBytes).toBeLessThanOrEqual(frameLimitBytes(grid));
    let last = { offset: -1, into: -1, length: 0 };
    for (const read of plan.reads) {
      expect(read.offset).toBeGreaterThanOrEqual(last.offset + last.length);
      expect(read.into).toBeGreaterThanOrEqual(last.into + last.length);
      last = read;
    }
  }
}

describe('frames planned for extents', () => {
  test('read every byte of the extents exactly once, into its place', () => {
    fc.assert(
      fc.property(cases, ({ imageBytes, extents }) => {
        const grid = chunkGridFor(imageBytes);
        const plans = [...planFrames(extents, grid)];
        expect(placesOf(plans)).toEqual(modelOf(extents, grid));
        expectOrdered(plans, grid);
      }),
      { numRuns: 150 },
    );
  });

  test('read an extent of many chunks in one piece', () => {
    const grid = chunkGridFor(64 * CHUNK);
    const plans = [...planFrames([{ offset: 0, length: 20 * CHUNK }], grid)];
    expect(plans.map(({ reads }) => reads)).toEqual([
      [{ offset: 0, into: 0, length: 16 * CHUNK }],
      [{ offset: 16 * CHUNK, into: 0, length: 4 * CHUNK }],
    ]);
  });

  test('hold one chunk each if chunks are larger than a frame', () => {
    const grid = chunkGridFor(2 ** 41);
    const plans = [...planFrames([{ offset: 2 ** 40 + 1024, length: 2 * grid.chunkBytes }], grid)];
    expect(plans.map(({ positions }) => positions.length)).toEqual([1, 1, 1]);
    expect(plans[0]?.reads).toEqual([{ offset: 2 ** 40 + 1024, into: 1024, length: grid.chunkBytes - 1024 }]);
  });

  test('are none for an image without data', () => {
    expect([...planFrames([], chunkGridFor(CHUNK))]).toEqual([]);
  });

  test('leave out extents beyond the end of the image', () => {
    const grid = chunkGridFor(CHUNK + 512);
    const extents = [
      { offset: CHUNK, length: 4096 },
      { offset: 2 * CHUNK, length: 4096 },
    ];
    expect([...planFrames(extents, grid)]).toEqual([
      { positions: [1], reads: [{ offset: CHUNK, into: 0, length: 512 }] },
    ]);
  });

  test('take no more of the extents than they need', () => {
    let taken = 0;
    function* endless(): Generator<Extent> {
      for (;;) yield { offset: taken++ * CHUNK, length: SECTOR };
    }
    const grid = chunkGridFor(2 ** 36);
    const plans = planFrames(endless(), grid)[Symbol.iterator]();
    for (let frame = 1; frame <= 5; frame++) {
      plans.next();
      expect(taken).toBe(frame * 16 + 1);
    }
  });

  test('take no more of one endless extent than they need', () => {
    const grid = chunkGridFor(2 ** 53 - 512);
    const [first] = planFrames([{ offset: 0, length: 2 ** 53 - 512 }], grid);
    expect(first).toEqual({ positions: [0], reads: [{ offset: 0, into: 0, length: grid.chunkBytes }] });
  });
});
