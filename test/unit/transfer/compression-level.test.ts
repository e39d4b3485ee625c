import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CompressionLevel, fittingLevel, type Compression } from '../../../src/transfer/compression-level.ts';

describe('the fitting level', () => {
  test('falls if the cores are the bottleneck, and rises if the line is', () => {
    expect(fittingLevel(3, 0)).toBe(1);
    expect(fittingLevel(3, 0.15)).toBe(3);
    expect(fittingLevel(3, 0.5)).toBe(4);
    expect(fittingLevel(3, 0.9)).toBe(9);
  });

  test('leaves spare time: at the new level the line is still the bottleneck', () => {
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

/** The levels at which the packs are asked for, if packs take these times to make and to send. */
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

describe('the level while packs are sent', () => {
  const manyOf = (time: { makingMs: number; sendingMs: number }) => Array.from({ length: 8 }, () => time);

  test('goes down while only the cores are the bottleneck', async () => {
    const levels = await levelsDuring('auto', manyOf({ makingMs: 100, sendingMs: 0 }));
    expect(levels).toEqual([3, 3, 3, 1, 1, 1, 1, 1]);
  });

  test('goes up while only the line is the bottleneck', async () => {
    const levels = await levelsDuring('auto', manyOf({ makingMs: 0, sendingMs: 100 }));
    expect(levels).toEqual([3, 3, 3, 9, 9, 9, 9, 9]);
  });

  test('follows the line when it changes', async () => {
    const slow = manyOf({ makingMs: 10, sendingMs: 90 });
    const levels = await levelsDuring('auto', [...slow, ...manyOf({ makingMs: 100, sendingMs: 1 }), ...slow]);
    expect(Math.max(...levels.slice(0, 8))).toBe(9);
    expect(levels[15]).toBeLessThan(9);
    expect(levels.at(-1)).toBeGreaterThan(levels[16] ?? 0);
  });

  test('stays fixed if a number was chosen', async () => {
    for (const time of [
      { makingMs: 100, sendingMs: 0 },
      { makingMs: 0, sendingMs: 100 },
    ])
      expect(new Set(await levelsDuring(7, manyOf(time)))).toEqual(new Set([7]));
  });
});
