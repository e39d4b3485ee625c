import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { StallWatch } from '../../../src/pipeline/stall-watch.ts';

let stalls: number;
let watch: StallWatch;

beforeEach(() => {
  jest.useFakeTimers();
  stalls = 0;
  watch = new StallWatch(30_000, () => stalls++);
});
afterEach(() => {
  watch[Symbol.dispose]();
  jest.useRealTimers();
});

test('calls once when a wait without progress has reached the limit', () => {
  watch.waiting();
  jest.advanceTimersByTime(29_000);
  expect(stalls).toBe(0);
  jest.advanceTimersByTime(1000);
  expect(stalls).toBe(1);
  jest.advanceTimersByTime(300_000);
  expect(stalls).toBe(1);
});

test('does not call during progress, even for a long time', () => {
  watch.waiting();
  for (let minute = 0; minute < 600; minute++) {
    jest.advanceTimersByTime(29_000);
    watch.progressed();
  }
  expect(stalls).toBe(0);
});

test('the end of one of several waits is progress, and begins the limit anew', () => {
  const first = watch.waiting();
  watch.waiting();
  jest.advanceTimersByTime(29_000);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  jest.advanceTimersByTime(29_000);
  expect(stalls).toBe(0);
  jest.advanceTimersByTime(1000);
  expect(stalls).toBe(1);
});

test('does not count the time between waits', () => {
  watch.waiting()[Symbol.dispose]();
  jest.advanceTimersByTime(3_600_000);
  const again = watch.waiting();
  jest.advanceTimersByTime(29_000);
  again[Symbol.dispose]();
  expect(stalls).toBe(0);
});

test('does not call after it was disposed of', () => {
  watch.waiting();
  watch[Symbol.dispose]();
  jest.advanceTimersByTime(60_000);
  expect(stalls).toBe(0);
});
