import { expect, test } from '@jest/globals';
import { isWrittenSince, parsePageCounts } from '../../../src/guest/uml-sync.ts';

const vmstat = `nr_free_pages 12000
nr_dirty 7
nr_writeback 3
nr_writeback_temp 99
nr_dirtied 788
nr_written 780
nr_dirty_threshold 1244
`;

test('reads the counts of pages', () => {
  expect(parsePageCounts(vmstat)).toEqual({ unwritten: 10, dirtied: 788 });
});

test('gives no counts where one is missing', () => {
  expect(parsePageCounts(vmstat.replace('nr_dirtied', 'nr_other'))).toBeNull();
  expect(parsePageCounts('')).toBeNull();
});

test('what was there before is written when no more is unwritten than has come since', () => {
  const before = { unwritten: 10, dirtied: 100 };
  expect(isWrittenSince(before, { unwritten: 10, dirtied: 100 })).toBe(false);
  expect(isWrittenSince(before, { unwritten: 4, dirtied: 103 })).toBe(false);
  expect(isWrittenSince(before, { unwritten: 4, dirtied: 104 })).toBe(true);
  expect(isWrittenSince(before, { unwritten: 0, dirtied: 100 })).toBe(true);
});
