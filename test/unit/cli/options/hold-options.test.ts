import { describe, expect, test } from '@jest/globals';
import { readHold } from '../../../../src/cli/options/migrate/hold-options.ts';

const now = new Date(2026, 10, 30, 22, 15, 30);
const at = (...time: [number, number, number, number, number]) => ({ untilMs: new Date(...time).getTime() });

describe('the time of a cutover', () => {
  test.each([
    ['23:00', at(2026, 10, 30, 23, 0)],
    ['03:00', at(2026, 11, 1, 3, 0)],
    ['22:15', at(2026, 11, 1, 22, 15)],
    ['2026-12-24T03:00', at(2026, 11, 24, 3, 0)],
    ['2026-11-30T22:15:31', { untilMs: now.getTime() + 1000 }],
  ])('%s', (text, hold) => {
    expect(readHold({ cutover: text }, now)).toEqual(hold);
  });

  test.each([
    '24:00',
    '3:00',
    'tomorrow',
    '2026-12-24',
    '2026-13-01T00:00',
    '2026-11-30T22:15',
    '1999-12-31T23:59',
  ])('%s is refused', (text) => {
    expect(() => readHold({ cutover: text }, now)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  test('need not be known before', () => {
    expect(readHold({ hold: true }, now)).toEqual({ untilMs: null });
    expect(readHold({}, now)).toBeNull();
  });

  test('is of no use for a guest that is not copied while it runs', () => {
    expect(() => readHold({ hold: true, cold: true }, now)).toThrow('--cold');
    expect(() => readHold({ service: true }, now)).toThrow('--service');
    expect(readHold({ hold: true, service: true }, now)).toEqual({ untilMs: null });
  });
});
