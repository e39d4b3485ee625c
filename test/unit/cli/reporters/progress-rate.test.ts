import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  bytesPerSecond,
  emptyHistory,
  observe,
  secondsLeft,
} from '../../../../src/cli/reporters/progress-rate.ts';

/** Observations every `stepMs`, at `perStep` bytes each. */
function steady(steps: number, stepMs: number, perStep: number, startMs = 0, startBytes = 0) {
  let history = emptyHistory;
  for (let step = 0; step <= steps; step++)
    history = observe(history, startBytes + step * perStep, startMs + step * stepMs);
  return history;
}

test('there is no rate in the first second', () => {
  expect(bytesPerSecond(emptyHistory)).toBeNull();
  expect(bytesPerSecond(steady(1, 999, 100))).toBeNull();
  expect(secondsLeft(steady(1, 999, 100), 1000)).toBeNull();
});

test('a steady stage has a rate and a time left', () => {
  const history = steady(20, 500, 50);
  expect(bytesPerSecond(history)).toBe(100);
  expect(secondsLeft(history, 3000)).toBe(20);
});

test('the rate follows a slower line within the window', () => {
  let history = steady(20, 1000, 1000);
  for (let second = 21; second <= 36; second++)
    history = observe(history, 20_000 + (second - 20) * 10, second * 1000);
  expect(bytesPerSecond(history)).toBe(10);
});

test('without progress the time left is unknown; when all is done it is 0', () => {
  let history = steady(4, 1000, 0, 0, 50);
  expect(bytesPerSecond(history)).toBe(0);
  expect(secondsLeft(history, 100)).toBeNull();
  history = observe(history, 100, 5000);
  expect(secondsLeft(history, 100)).toBe(0);
});

test('the history starts again when fewer bytes are done: another disk', () => {
  const history = observe(steady(20, 500, 50), 10, 20_000);
  expect(bytesPerSecond(history)).toBeNull();
  expect(history.samples).toHaveLength(1);
});

test('after a long silence the rate includes the silence', () => {
  const history = observe(steady(4, 1000, 100), 500, 104_000);
  expect(bytesPerSecond(history)).toBe(1);
});

test('the history stays small, and the rate is never negative or infinite', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 3000 }), fc.nat({ max: 10_000_000 })), { maxLength: 400 }),
      (steps) => {
        let [history, nowMs, doneBytes] = [emptyHistory, 0, 0];
        for (const [passedMs, moreBytes] of steps) {
          nowMs += passedMs;
          doneBytes += moreBytes;
          history = observe(history, doneBytes, nowMs);
          expect(history.samples.length).toBeLessThan(130);
          const rate = bytesPerSecond(history);
          if (rate !== null) expect(rate).toBeGreaterThanOrEqual(0);
          if (rate !== null) expect(rate).toBeLessThan(Infinity);
        }
      },
    ),
  );
});
