import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  Patience,
  USUAL_RETRY_MS,
  type RetryRequest,
} from '../../../../src/operations/migrate/line/patience.ts';

const usual: RetryRequest = { retryForMs: null, maxDowntimeMs: null };

/** All pauses of one outage, and when it was given up. Each attempt takes `attemptMs`. */
function outage(
  patience: Patience,
  beganMs: number,
  attemptMs: number,
): { pausesMs: number[]; endedMs: number } {
  const pausesMs: number[] = [];
  let nowMs = beganMs;
  for (;;) {
    const pauseMs = patience.nextPauseMs(nowMs);
    if (pauseMs === null) return { pausesMs, endedMs: nowMs };
    pausesMs.push(pauseMs);
    nowMs += pauseMs + attemptMs;
  }
}

describe('the patience with a lost line', () => {
  test('grows from a second to a minute', () => {
    const { pausesMs } = outage(new Patience(usual, 0), 0, 0);
    expect(pausesMs.slice(0, 8)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  });

  test('lasts ten minutes while the guest is down, and a day while it runs', () => {
    const down = outage(new Patience(usual, 5), 5, 100).endedMs;
    expect(down).toBeGreaterThan(USUAL_RETRY_MS.down - 61_000);
    expect(down).toBeLessThanOrEqual(USUAL_RETRY_MS.down + 5 + 100);
    expect(outage(new Patience(usual, null), 0, 100).endedMs).toBeGreaterThan(
      USUAL_RETRY_MS.running - 61_000,
    );
  });

  test('has none with --retry-for 0', () => {
    expect(new Patience({ ...usual, retryForMs: 0 }, null).nextPauseMs(7)).toBeNull();
  });

  test('begins anew when something was sent', () => {
    const patience = new Patience({ ...usual, retryForMs: 10_000 }, 0);
    expect(outage(patience, 0, 0).pausesMs).toEqual([1000, 2000, 4000]);
    expect(patience.nextPauseMs(8000)).toBeNull();
    patience.noteProgress();
    expect(patience.leftMs(8000)).toBe(10_000);
    expect(patience.nextPauseMs(8000)).toBe(1000);
    expect(patience.leftMs(9000)).toBe(9000);
  });

  test('never ends later than --retry-for or --max-downtime', () => {
    fc.assert(
      fc.property(
        fc.record({
          retryForMs: fc.integer({ min: 0, max: 10_000_000 }),
          maxDowntimeMs: fc.option(fc.integer({ min: 0, max: 10_000_000 })),
        }),
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.integer({ min: 0, max: 1_000_000 }),
        (request, downSinceMs, laterMs) => {
          const patience = new Patience(request, downSinceMs);
          const lostMs = downSinceMs + laterMs;
          const { pausesMs } = outage(patience, lostMs, 0);
          const lastMs = lostMs + pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0);
          expect(lastMs).toBeLessThanOrEqual(lostMs + request.retryForMs);
          if (request.maxDowntimeMs !== null && pausesMs.length > 0)
            expect(lastMs).toBeLessThanOrEqual(downSinceMs + request.maxDowntimeMs);
        },
      ),
    );
  });
});
