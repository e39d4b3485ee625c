import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatTimeWithZone } from '../../../../src/figures.ts';
import { Failure } from '../../../../src/failure.ts';
import {
  chooseSnapshot,
  parseSnapshotReference,
} from '../../../../src/operations/store-access/choose-snapshot.ts';
import { snapshotId } from '../../../../src/repository/files/snapshot-id.ts';

const ids = [
  '20261121T030000Z-00000001',
  '20261122T030007Z-aaaa0001',
  '20261122T030007Z-aaab0002',
  '20261123T230000Z-00000003',
];

const now = new Date('2026-12-01T00:00:00Z');

function choose(from: readonly string[], when: string, warn: (message: string) => void = () => undefined) {
  return chooseSnapshot(from, { guest: 'web', when }, now, (event) => {
    if (event.type === 'warning') warn(event.message);
  });
}

function chosen(when: string): string {
  return choose(ids, when);
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
    // The whole minute counts.
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

  test('by a day or an hour in the time zone of this machine', () => {
    const made = [new Date(2026, 5, 1, 23, 59, 59), new Date(2026, 5, 2, 12, 30, 1)];
    const local = made.map((date) => snapshotId(date, '12345'));
    expect(choose(local, '2026-06-01')).toBe(local[0]);
    expect(choose(local, '2026-06-02')).toBe(local[1]);
    expect(choose(local, '2026-06-02T12:29')).toBe(local[0]);
    expect(choose(local, '2026-06-02T12:30')).toBe(local[1]);
  });

  test('for any time, as the newest one made until then', () => {
    const day = fc.integer({ min: 0, max: 365 * 86_400 });
    fc.assert(
      fc.property(fc.array(day, { minLength: 1, maxLength: 20 }), day, (seconds, asked) => {
        const start = Date.UTC(2026, 0, 1);
        const sorted = seconds.map((second) => snapshotId(new Date(start + second * 1000), '00000')).sort();
        const when = new Date(start + asked * 1000).toISOString().replace('.000Z', 'Z');
        const limit = snapshotId(new Date(start + asked * 1000), '00000');
        const expected = sorted.filter((id) => id <= limit).at(-1);
        const choosing = () => choose(sorted, when);
        if (expected === undefined) expect(failureOf(choosing).code).toBe('snapshot-missing');
        else expect(choosing()).toBe(expected);
      }),
    );
  });

  test.each([
    ['2026-11-21T02:59Z', 'snapshot-missing', 'the oldest is 20261121T030000Z-00000001'],
    ['20261124', 'snapshot-missing', 'no snapshot 20261124 of web'],
    ['20261122', 'usage', '2 snapshots of web begin with 20261122'],
    ['2026-02-30', 'usage', 'is neither a snapshot nor a time'],
    ['yesterday', 'usage', 'is neither a snapshot nor a time'],
    ['', 'usage', 'is neither a snapshot nor a time'],
  ])('%j names none', (when, code, message) => {
    const failure = failureOf(() => chosen(when));
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(message);
  });

  test('not for a guest without snapshots', () => {
    expect(failureOf(() => choose([], 'latest')).code).toBe('snapshot-missing');
  });
});

describe('GUEST[@WHEN]', () => {
  test.each([
    ['web', { guest: 'web', when: 'latest' }],
    ['web@latest', { guest: 'web', when: 'latest' }],
    ['a@b@2026-11-22', { guest: 'a@b', when: '2026-11-22' }],
    ['web@2026', { guest: 'web', when: '2026' }],
    ['a@b.img', { guest: 'a@b.img', when: 'latest' }],
    ['a@b.img@2026', { guest: 'a@b.img', when: '2026' }],
  ])('%s', (text, reference) => {
    expect(parseSnapshotReference(text)).toEqual(reference);
  });

  test.each(['', '@latest', 'web@', '../web', 'web@2026-13-01'])('%j is refused', (text) => {
    expect(failureOf(() => parseSnapshotReference(text)).code).toBe('usage');
  });
});

describe('snapshots dated in the future', () => {
  const future = ['20301122T030000Z-00000001', '20311122T030000Z-00000001'];

  test('are never the latest, and a warning names the newest of them', () => {
    const warnings: string[] = [];
    expect(choose([...ids, ...future], 'latest', (message) => warnings.push(message))).toBe(ids[3]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(
      `web@${future[1]} is dated in the future (now: ${formatTimeWithZone('2026-12-01T00:00:00Z')})`,
    );
    expect(warnings[0]).toContain('The same is true of 1 more.');
    expect(warnings[0]).toContain(`web@${ids[3]}`);
  });

  test('are chosen if there are no others, with a warning', () => {
    const warnings: string[] = [];
    expect(choose(future, 'latest', (message) => warnings.push(message))).toBe(future[1]);
    expect(warnings[0]).toContain('there is no other');
  });

  test('are chosen by id without a warning', () => {
    const warnings: string[] = [];
    expect(choose([...ids, ...future], '2030', (message) => warnings.push(message))).toBe(future[0]);
    expect(warnings).toEqual([]);
  });
});
