import { expect, test } from '@jest/globals';
import { choosePacks } from '../../../../src/operations/verify/choose-packs.ts';

const packs = new Map(
  ['a', 'b', 'c', 'd', 'e'].map((id) => [id, { id, name: `packs/${id}`, sizeBytes: 100, modifiedMs: 0 }]),
);
const idsOf = (percent: number, checked: Record<string, number>, nowMs = 1_000_000) =>
  choosePacks(packs, percent, new Map(Object.entries(checked)), nowMs)
    .map(({ id }) => id)
    .join('');

test('packs never read come first, then those read longest ago', () => {
  expect(idsOf(40, { a: 30, b: 20, d: 10, e: 40 })).toBe('cd');
  expect(idsOf(100, { a: 30, b: 20, d: 10, e: 40 })).toBe('cdbae');
});

test('at least one pack is chosen, and as many bytes as were asked for', () => {
  expect(idsOf(1, {})).toBe('a');
  expect(idsOf(20, {})).toBe('a');
  expect(idsOf(21, {})).toBe('ab');
});

test('no pack is chosen if there is none', () => {
  expect(choosePacks(new Map(), 10, new Map(), 0)).toEqual([]);
});

test('a time in the future, from a wrong clock, counts as never', () => {
  expect(idsOf(20, { a: 1, b: 5000, c: 2, d: 3, e: 4 }, 1000)).toBe('b');
});

test('repeated choices read all packs in turn', () => {
  const checked: Record<string, number> = {};
  const rounds = Array.from({ length: 10 }, (_, round) => {
    const [id = ''] = idsOf(10, checked);
    checked[id] = round + 1;
    return id;
  });
  expect(rounds.join('')).toBe('abcdeabcde');
});
