import { expect, test } from '@jest/globals';
import {
  estimateDowntimeSeconds,
  estimateWarmDowntimeSeconds,
} from '../../../../src/operations/migrate/estimate.ts';
import type { SourceDisk } from '../../../../src/transfer/source-disk.ts';

const disk = {
  source: { path: '/proc/nowhere', format: 'raw' },
  layout: { regions: [] },
  readBytes: 8_000_000_000,
} as unknown as SourceDisk;
const sample = { ratio: 0.5, readBytesPerSecond: 400_000_000 };
const lineBytesPerSecond = 10_000_000;

test('a cold move is down as long as the slower of disk and line needs, and for the halt and the boot', () => {
  expect(estimateDowntimeSeconds(8_000_000_000, sample, lineBytesPerSecond)).toBe(410);
});

test('a warm move reads its images once more after the halt, unless something tells what has changed', () => {
  expect(estimateWarmDowntimeSeconds([disk], false, sample, lineBytesPerSecond)).toBe(30);
  expect(estimateWarmDowntimeSeconds([disk], true, sample, lineBytesPerSecond)).toBe(10);
});
