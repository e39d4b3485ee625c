import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatBytes } from '../../../../src/figures.ts';
import {
  formatDuration,
  formatFields,
  formatPercentage,
  formatRate,
  formatRatio,
  formatTable,
  formatTimeLeft,
} from '../../../../src/cli/terminal/format.ts';

describe('bytes', () => {
  test.each([
    [0, '0 B'],
    [1, '1 B'],
    [999, '999 B'],
    [1000, '0.98 KiB'],
    [1024, '1.00 KiB'],
    [10_235, '10.0 KiB'],
    [102_350, '100 KiB'],
    [2 ** 20 - 1, '1.00 MiB'],
    [1_349_000_000, '1.26 GiB'],
    [612 * 2 ** 20, '612 MiB'],
    [2 * 2 ** 40, '2.00 TiB'],
  ])('%d is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  test('a size has at most eight characters, and is at most 1 % off', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (bytes) => {
        const text = formatBytes(bytes);
        expect(text.length).toBeLessThanOrEqual(8);
        const [amount = '', unit = ''] = text.split(' ');
        const scale = 1024 ** ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].indexOf(unit);
        expect(Math.abs(Number(amount) * scale - bytes)).toBeLessThanOrEqual(bytes / 100);
      }),
    );
  });

  test('a rate is in bytes per second', () => {
    expect(formatRate(180 * 2 ** 20)).toBe('180 MiB/s');
  });
});

describe('durations', () => {
  test.each([
    [0, '0.0 s'],
    [0.44, '0.4 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min'],
    [200, '3 min 20 s'],
    [3599, '59 min 59 s'],
    [3599.6, '1 h'],
    [7500, '2 h 5 min'],
    [86_400, '1 d'],
    [100 * 3600, '4 d 4 h'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

test('a ratio has one digit after the point; without numbers to compare it is a hyphen', () => {
  expect(formatRatio(1349, 423)).toBe('3.2');
  expect(formatRatio(100_000, 10)).toBe('10000');
  expect(formatRatio(0, 10)).toBe('-');
  expect(formatRatio(10, 0)).toBe('-');
});

test('a percentage is 100 only when all is done', () => {
  expect(formatPercentage(999_999, 1_000_000)).toBe('99 %');
  expect(formatPercentage(5, 5)).toBe('100 %');
  expect(formatPercentage(0, 0)).toBe('100 %');
});

test('columns are as wide as their widest cells, with numbers aligned to the right', () => {
  const table = formatTable(
    ['name', 'size', 'state'],
    [
      ['web', '4.00 GiB', 'running'],
      ['database', '12 GiB', ''],
    ],
    new Set([1]),
  );
  expect(table.split('\n')).toEqual([
    'name          size  state',
    'web       4.00 GiB  running',
    'database    12 GiB',
  ]);
});

test('values of fields are aligned', () => {
  expect(
    formatFields([
      ['size', '1 B'],
      ['downtime', '2 s'],
    ]),
  ).toBe('  size      1 B\n  downtime  2 s');
});

test.each([
  [0.2, '1 s'],
  [59, '59 s'],
  [59.2, '1 min'],
  [200, '3 min'],
  [3599, '1 h'],
  [7500, '2 h'],
  [90_000, 'days'],
])('%d seconds left are %s', (seconds, text) => {
  expect(formatTimeLeft(seconds)).toBe(text);
});
