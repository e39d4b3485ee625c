import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseRateLimit, rateAt, slowestRate, type Rate, type RateLimit } from '../../src/rate-limit.ts';

const MINUTES = 24 * 60;

function parsed(text: string): RateLimit {
  const limit = parseRateLimit(text);
  if ('problem' in limit) throw new Error(limit.problem);
  return limit;
}

/** By the clock on the wall of this machine. */
function at(minute: number): Date {
  return new Date(2026, 5, 17, Math.floor(minute / 60), minute % 60, 30);
}

function timeText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;
}

describe('a limit', () => {
  test.each([
    ['20M', 20 * 2 ** 20],
    ['500k', 500 * 2 ** 10],
    ['500K', 500 * 2 ** 10],
    ['1.5m', 1.5 * 2 ** 20],
    ['2G', 2 * 2 ** 30],
    ['20MiB', 20 * 2 ** 20],
    ['20MB/s', 20 * 2 ** 20],
    ['100000', 100_000],
    ['otherwise 20M', 20 * 2 ** 20],
    ['unlimited', null],
  ])('%s is %d bytes per second, at any time', (text, rate) => {
    const limit = parsed(text);
    expect([limit.rules, limit.otherwise, slowestRate(limit), limit.text]).toEqual([[], rate, rate, text]);
    expect(rateAt(limit, at(7))).toBe(rate);
  });

  test('goes by the time of day', () => {
    const limit = parsed('08:00-18:00 20M, 22:00-6:00 unlimited,otherwise 1M');
    const rates = ['5:59', '6:00', '7:59', '8:00', '17:59', '18:00', '21:59', '22:00', '23:59', '0:00'].map(
      (time) => {
        const [hours = 0, minutes = 0] = time.split(':').map(Number);
        return rateAt(limit, at(60 * hours + minutes));
      },
    );
    const [slow, day] = [2 ** 20, 20 * 2 ** 20];
    expect(rates).toEqual([null, slow, slow, day, day, slow, slow, null, null, null]);
    expect(slowestRate(limit)).toBe(slow);
  });

  test('holds at the times of its rules, and of no others', () => {
    const cuts = fc.uniqueArray(fc.nat({ max: MINUTES - 1 }), { minLength: 2, maxLength: 8 });
    const rates = fc.array(fc.option(fc.integer({ min: 10 * 1024, max: 2 ** 33 })), {
      minLength: 9,
      maxLength: 9,
    });
    fc.assert(
      fc.property(cuts, rates, fc.nat({ max: 7 }), (given, [otherwise = null, ...ofRules], turn) => {
        const sorted = given.toSorted((one, other) => one - other);
        const byMinute = Array.from({ length: MINUTES }, (): Rate => otherwise);
        const rules: string[] = [];
        // Every second stretch between two cuts has a rule; the last one may go over midnight.
        for (let index = 0; index + 1 < sorted.length + 1; index += 2) {
          const from = sorted[(index + turn) % sorted.length] ?? 0;
          const to = sorted[(index + turn + 1) % sorted.length] ?? 0;
          if (sorted.length % 2 === 1 && index + 1 >= sorted.length) break;
          const rate = ofRules[index] ?? null;
          rules.push(`${timeText(from)}-${timeText(to)} ${rate ?? 'unlimited'}`);
          for (let minute = from; minute !== to; minute = (minute + 1) % MINUTES) byMinute[minute] = rate;
        }
        const limit = parsed([...rules, `otherwise ${otherwise ?? 'unlimited'}`].join(', '));
        expect(byMinute.map((_, minute) => rateAt(limit, at(minute)))).toEqual(byMinute);
      }),
      { numRuns: 50 },
    );
  });

  test('without `otherwise` leaves the other times unlimited', () => {
    expect(parsed('08:00-18:00 20M').otherwise).toBeNull();
    expect(rateAt(parsed('00:00-24:00 20M'), at(MINUTES - 1))).toBe(20 * 2 ** 20);
  });

  test.each([
    ['', /is not a number of bytes/],
    ['fast', /"fast" is not a number of bytes/],
    ['-5M', /is not a number of bytes/],
    ['20T', /"20T" is not a number of bytes/],
    ['20', /20 bytes per second are too few: say k, M or G, such as 20k/],
    ['9k', /9k is less than 10k/],
    ['0', /too few/],
    ['20M, 5M', /"20M" has no time/],
    ['08:00-18:00', /is not a number/],
    ['08:00-18:00 20M,', /is not a number|has no time/],
    ['8-18 20M', /"8" is not a time/],
    ['08:00-24:01 20M', /"24:01" is not a time/],
    ['08:60-18:00 20M', /"08:60" is not a time/],
    ['08:00-08:00 20M', /no time at all/],
    ['24:00-00:00 20M', /no time at all/],
    ['08:00-18:00 20M, 17:59-20:00 5M', /overlap/],
    ['22:00-06:00 20M, 05:00-05:30 5M', /overlap/],
    ['otherwise 5M, otherwise 6M', /twice/],
  ])('is not %j', (text, reason) => {
    expect(parseRateLimit(text)).toEqual({ problem: expect.stringMatching(reason) });
  });

  test('is parsed or refused, whatever is typed', () => {
    const part = fc.constantFrom(
      '08:00',
      '-',
      '18:00',
      ' ',
      ',',
      '20M',
      'otherwise',
      'unlimited',
      '24:00',
      '1.5',
      'k',
      '\n',
    );
    const texts = fc.oneof(
      fc.string(),
      fc.array(part).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const limit = parseRateLimit(text);
        if ('problem' in limit) expect(limit.problem).not.toBe('');
        else expect(slowestRate(limit) ?? 10 * 1024).toBeGreaterThanOrEqual(10 * 1024);
      }),
    );
  });
});
