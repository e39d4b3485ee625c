import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { watchForSilence } from '../../../src/ssh/liveness.ts';

let received = 0;
let deaths: number[] = [];
beforeEach(() => {
  jest.useFakeTimers();
  received = 0;
  deaths = [];
});
afterEach(() => {
  jest.useRealTimers();
});
const watch = (): Disposable =>
  watchForSilence(
    () => received,
    (silentMs) => deaths.push(silentMs),
  );

test('twenty seconds of silence are reported once', () => {
  watch();
  jest.advanceTimersByTime(19_999);
  expect(deaths).toEqual([]);
  jest.advanceTimersByTime(60_000);
  expect(deaths).toEqual([20_000]);
});

test('any byte counts as a sign of life', () => {
  watch();
  for (let times = 0; times < 10; times++) {
    jest.advanceTimersByTime(19_000);
    received++;
  }
  expect(deaths).toEqual([]);
});

test('watching ends when it is disposed', () => {
  watch()[Symbol.dispose]();
  jest.advanceTimersByTime(60_000);
  expect(deaths).toEqual([]);
});
