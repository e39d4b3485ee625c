import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TokenBucket } from '../../../src/pipeline/token-bucket.ts';

const BURST_MS = 50;

test('lets no more through in any period than the rate, a short burst, and a piece', () => {
  const takes = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 20_000 }), idleMs: fc.nat({ max: 300 }) }),
    {
      minLength: 1,
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(takes, fc.integer({ min: 10_000, max: 10_000_000 }), (all, rate) => {
      const bucket = new TokenBucket();
      let nowMs = 1_000_000;
      const gone = all.map(({ bytes, idleMs }) => {
        // A taker that waits, then does something else, and sometimes nothing.
        nowMs += idleMs % 7 === 0 ? idleMs : 0;
        const goesMs = nowMs + bucket.take(bytes, rate, nowMs);
        nowMs = goesMs;
        return { bytes, goesMs };
      });
      for (let first = 0; first < gone.length; first++) {
        let sum = 0;
        for (const { bytes, goesMs } of gone.slice(first)) {
          const periodMs = goesMs - (gone[first]?.goesMs ?? 0);
          // What goes at the end of the period does not count.
          expect(sum).toBeLessThanOrEqual((rate * (periodMs + BURST_MS)) / 1000 + 1);
          sum += bytes;
        }
      }
    }),
  );
});

test('gives the whole rate to a taker that always wants more, even if its timers are late', () => {
  const bucket = new TokenBucket();
  const rate = 20 * 2 ** 20;
  let nowMs = 0;
  let bytes = 0;
  while (nowMs < 10_000) {
    const waitMs = bucket.take(261_120, rate, nowMs);
    bytes += 261_120;
    nowMs += waitMs === 0 ? 0 : waitMs + 4;
  }
  expect(bytes / 10 / rate).toBeGreaterThan(0.95);
  expect(bytes / 10 / rate).toBeLessThan(1.05);
});

test('lets several takers go one after the other', () => {
  const bucket = new TokenBucket();
  const waits = Array.from({ length: 4 }, () => bucket.take(100, 1000, 0));
  expect(waits).toEqual([0, 50, 150, 250]);
});

test('follows a rate that changes', () => {
  const bucket = new TokenBucket();
  bucket.take(1000, 1000, 0);
  expect(bucket.take(1000, 1000, 0)).toBe(950);
  expect(bucket.take(1_000_000, null, 0)).toBe(0);
  expect(bucket.take(1000, 10_000, 2000)).toBe(0);
  expect(bucket.take(1000, 10_000, 2000)).toBe(50);
});
