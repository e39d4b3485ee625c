import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Failure } from '../../../src/failure.ts';
import { chooseSnapshot, parseSnapshotReference } from '../../../src/operations/choose-snapshot.ts';
import { snapshotId } from '../../../src/repository/snapshot-id.ts';

const ids = [
  '20261121T030000Z-00000001',
  '20261122T030007Z-aaaa0001',
  '20261122T030007Z-aaab0002',
  '20261123T230000Z-00000003',
];

function chosen(when: string): string {
  return chooseSnapshot(ids, { guest: 'web', when });
}

function failureOf(work: () => unknown): Failure {
  try {
    work();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a snapshot is chosen', () => {
  test.each([
    ['latest', 3],
    ['20261121T030000Z-00000001', 0],
    ['20261121', 0],
    ['20261122T030007Z-aaaa', 1],
    ['20261122T030007Z-aaab0002', 2],
    ['2026-11-22T03:00:07Z', 2],
    ['2026-11-22T03:00:06Z', 0],
    // All of the minute that was said.
    ['2026-11-22T03:00Z', 2],
    ['2026-11-22 03:00Z', 2],
    ['2026-11-22T02:59Z', 0],
    ['2026-11-22T04:00+01:00', 2],
    ['2026-11-21T22:00-0500', 2],
    ['2026-11-22T03:59+01:00', 0],
    ['2030-01-01', 3],
  ])('%s', (when, index) => {
    expect(chosen(when)).toBe(ids[index]);
  });

  test('by a day or an hour of this machine', () => {
    const made = [new Date(2026, 5, 1, 23, 59, 59), new Date(2026, 5, 2, 12, 30, 1)];
    const local = made.map((date) => snapshotId(date, '12345'));
    expect(chooseSnapshot(local, { guest: 'web', when: '2026-06-01' })).toBe(local[0]);
    expect(chooseSnapshot(local, { guest: 'web', when: '2026-06-02' })).toBe(local[1]);
    expect(chooseSnapshot(local, { guest: 'web', when: '2026-06-02T12:29' })).toBe(local[0]);
    expect(chooseSnapshot(local, { guest: 'web', when: '2026-06-02T12:30' })).toBe(local[1]);
  });

  test('the newest that is not younger, whatever there is', () => {
    const day = fc.integer({ min: 0, max: 365 * 86_400 });
    fc.assert(
      fc.property(fc.array(day, { minLength: 1, maxLength: 20 }), day, (seconds, asked) => {
        const start = Date.UTC(2026, 0, 1);
        const sorted = seconds.map((second) => snapshotId(new Date(start + second * 1000), '00000')).sort();
        const when = new Date(start + asked * 1000).toISOString().replace('.000Z', 'Z');
        const limit = snapshotId(new Date(start + asked * 1000), '00000');
        const expected = sorted.filter((id) => id <= limit).at(-1);
        const choose = () => chooseSnapshot(sorted, { guest: 'web', when });
        if (expected === undefined) expect(failureOf(choose).code).toBe('snapshot-missing');
        else expect(choose()).toBe(expected);
      }),
    );
  });

  test.each([
    ['2026-11-21T02:59Z', 'snapshot-missing', 'the oldest is 20261121T030000Z-00000001'],
    ['20261124', 'snapshot-missing', 'no snapshot 20261124 of web'],
    ['20261122', 'usage', '2 snapshots of web begin with 20261122'],
    ['2026-02-30', 'usage', 'names no snapshot and no time'],
    ['yesterday', 'usage', 'names no snapshot and no time'],
    ['', 'usage', 'names no snapshot and no time'],
  ])('%j names none', (when, code, message) => {
    const failure = failureOf(() => chosen(when));
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(message);
  });

  test('of a guest that has none', () => {
    expect(failureOf(() => chooseSnapshot([], { guest: 'web', when: 'latest' })).code).toBe(
      'snapshot-missing',
    );
  });
});

describe('GUEST[@WHEN]', () => {
  test.each([
    ['web', { guest: 'web', when: 'latest' }],
    ['web@latest', { guest: 'web', when: 'latest' }],
    ['a@b@2026-11-22', { guest: 'a@b', when: '2026-11-22' }],
    ['web@2026', { guest: 'web', when: '2026' }],
  ])('%s', (text, reference) => {
    expect(parseSnapshotReference(text)).toEqual(reference);
  });

  test.each(['', '@latest', 'web@', '../web', 'web@soon', 'web@2026-13-01'])('%j is refused', (text) => {
    expect(failureOf(() => parseSnapshotReference(text)).code).toBe('usage');
  });
});
