import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CompressionLevel, fittingLevel, type Compression } from '../../../src/transfer/compression-level.ts';

describe('the fitting level', () => {
  test('falls where the cores are waited for, and rises where the line is', () => {
    expect(fittingLevel(3, 0)).toBe(1);
    expect(fittingLevel(3, 0.15)).toBe(3);
    expect(fittingLevel(3, 0.5)).toBe(4);
    expect(fittingLevel(3, 0.9)).toBe(9);
  });

  test('leaves some time over: at the level that is chosen the line is still what is waited for', () => {
    // Level 6 takes 2.5 times as long as level 3.
    expect(fittingLevel(3, 1 - 1 / 2.6)).toBe(5);
    expect(fittingLevel(3, 1 - 1 / 2.9)).toBe(6);
  });

  test('never leaves its bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (shares) => {
        const level = shares.reduce(fittingLevel, 3);
        expect(level).toBeGreaterThanOrEqual(1);
        expect(level).toBeLessThanOrEqual(9);
      }),
    );
  });
});

/** The levels in force as each pack is asked for, when packs take so long to make and to send. */
async function levelsDuring(
  compression: Compression,
  times: readonly { makingMs: number; sendingMs: number }[],
): Promise<number[]> {
  let nowMs = 0;
  const level = new CompressionLevel(compression, () => nowMs);
  async function* packs() {
    for (const { makingMs, sendingMs } of times) {
      nowMs += makingMs;
      yield await Promise.resolve(sendingMs);
    }
  }
  const levels: number[] = [];
  for await (const sendingMs of level.watch(packs())) {
    levels.push(level.current);
    nowMs += sendingMs;
  }
  return levels;
}

describe('the level while a move runs', () => {
  const manyOf = (time: { makingMs: number; sendingMs: number }) => Array.from({ length: 8 }, () => time);

  test('goes down as long as only the cores are waited for', async () => {
    const levels = await levelsDuring('auto', manyOf({ makingMs: 100, sendingMs: 0 }));
    expect(levels).toEqual([3, 3, 3, 1, 1, 1, 1, 1]);
  });

  test('goes up as long as only the line is waited for', async () => {
    const levels = await levelsDuring('auto', manyOf({ makingMs: 0, sendingMs: 100 }));
    expect(levels).toEqual([3, 3, 3, 9, 9, 9, 9, 9]);
  });

  test('comes back when the line changes', async () => {
    const slow = manyOf({ makingMs: 10, sendingMs: 90 });
    const levels = await levelsDuring('auto', [...slow, ...manyOf({ makingMs: 100, sendingMs: 1 }), ...slow]);
    expect(Math.max(...levels.slice(0, 8))).toBe(9);
    expect(levels[15]).toBeLessThan(9);
    expect(levels.at(-1)).toBeGreaterThan(levels[16] ?? 0);
  });

  test('stays as chosen', async () => {
    for (const time of [
      { makingMs: 100, sendingMs: 0 },
      { makingMs: 0, sendingMs: 100 },
    ])
      expect(new Set(await levelsDuring(7, manyOf(time)))).toEqual(new Set([7]));
  });
});
