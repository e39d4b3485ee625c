import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  isTimeToHalt,
  predictLastPass,
  type PassFacts,
} from '../../../../src/operations/migrate/passes/when-to-halt.ts';

const MIB = 2 ** 20;
const pass = (changedMib: number, seconds: number, readMib = changedMib): PassFacts => ({
  readBytes: readMib * MIB,
  changedBytes: changedMib * MIB,
  seconds,
});

describe('the prediction of the last pass', () => {
  test('is the first pass again, as long as nothing is known of the writing of the guest', () => {
    expect(predictLastPass([])).toEqual({ changedBytes: 0, seconds: 0 });
    expect(predictLastPass([pass(1000, 100)])).toEqual({ changedBytes: 1000 * MIB, seconds: 100 });
  });

  test('follows the rate at which the guest writes: in a shorter pass it changes less', () => {
    // 100 MiB changed in 100 s. The second pass took 12 s: 10 s for these, 2 s for looking.
    const { changedBytes, seconds } = predictLastPass([pass(1000, 100), pass(100, 12)]);
    expect(changedBytes).toBe(12 * MIB);
    expect(seconds).toBeCloseTo(2 + 1.2);
  });

  test('is no more than the last pass took, if the first one found nearly everything there', () => {
    // A copy is taken up again: 1 MiB differed in 100 s of reading, then 10 MiB in 30 s.
    const { changedBytes, seconds } = predictLastPass([pass(1, 100, 10_000), pass(10, 30, 10_000)]);
    expect(changedBytes).toBe(3 * MIB);
    expect(seconds).toBeGreaterThan(29);
    expect(seconds).toBeLessThanOrEqual(30);
  });

  test('is never less than nothing, whatever the passes were', () => {
    const facts = fc.record({
      readBytes: fc.nat({ max: 2 ** 40 }),
      changedBytes: fc.nat({ max: 2 ** 40 }),
      seconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(facts, { maxLength: 10 }), (passes) => {
        const { changedBytes, seconds } = predictLastPass(passes);
        expect(changedBytes).toBeGreaterThanOrEqual(0);
        expect(seconds).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('the guest is halted', () => {
  test('never before a pass was made', () => {
    expect(isTimeToHalt([], 3600)).toBe(false);
  });

  test('after one pass only if that one was short', () => {
    expect(isTimeToHalt([pass(10, 0.5)], 10)).toBe(true);
    expect(isTimeToHalt([pass(1000, 5)], 10)).toBe(false);
  });

  test('when the last pass would be shorter than the goal', () => {
    const passes = [pass(1000, 100), pass(100, 12)];
    expect(isTimeToHalt(passes, 10)).toBe(true);
    expect(isTimeToHalt(passes, 2)).toBe(false);
  });

  test('when passes no longer get smaller, when nothing changes, and after eight passes', () => {
    expect(isTimeToHalt([pass(1000, 100), pass(900, 90)], 1)).toBe(false);
    expect(isTimeToHalt([pass(1000, 100), pass(900, 90), pass(850, 90)], 1)).toBe(true);
    expect(isTimeToHalt([pass(1000, 100), pass(0, 30)], 1)).toBe(true);
    const halves = Array.from({ length: 8 }, (_, index) => pass(2 ** (20 - index), 2 ** (20 - index)));
    expect(isTimeToHalt(halves.slice(0, 7), 1)).toBe(false);
    expect(isTimeToHalt(halves, 1)).toBe(true);
  });
});
