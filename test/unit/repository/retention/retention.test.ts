import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Failure } from '../../../../src/failure.ts';
import { periodOf, periodRules } from '../../../../src/repository/retention/retention-period.ts';
import {
  decideRetention,
  type DatedSnapshot,
  type RetentionDecision,
  type RetentionRules,
} from '../../../../src/repository/retention/retention.ts';
import { snapshotId } from '../../../../src/repository/files/snapshot-id.ts';

const now = new Date('2026-11-22T12:00:00Z');
const zone = 'Europe/Berlin';

function at(time: string, more: Partial<DatedSnapshot> = {}): DatedSnapshot {
  const createdAt = new Date(time);
  return { id: snapshotId(createdAt, '00000'), createdAt, isProtected: false, ...more };
}

function keptIds(decisions: readonly RetentionDecision[]): string[] {
  return decisions.filter(({ reasons }) => reasons.length > 0).map(({ id }) => id);
}

function keptTimes(times: readonly string[], rules: RetentionRules, timeZone = zone): string[] {
  const byId = new Map(times.map((time) => [at(time).id, time]));
  const decisions = decideRetention(
    times.map((time) => at(time)),
    rules,
    now,
    timeZone,
  );
  return keptIds(decisions).map((id) => byId.get(id) ?? id);
}

describe('decideRetention', () => {
  test('refuses to decide without a rule', () => {
    for (const rules of [{}, { daily: undefined } as unknown as RetentionRules])
      expect(() => decideRetention([at('2026-11-22T01:00:00Z')], rules, now, zone)).toThrow(
        expect.objectContaining({ code: 'usage' }) as unknown as Failure,
      );
  });

  test('keeps a number of the newest snapshots', () => {
    const times = ['2026-11-19T01:00:00Z', '2026-11-20T01:00:00Z', '2026-11-21T01:00:00Z'];
    expect(keptTimes(times, { last: 2 })).toEqual(times.slice(1));
  });

  test('keeps the newest snapshot of each of the last days with snapshots, by local time', () => {
    // 23:30 UTC is half past midnight in Berlin.
    const times = [
      '2026-11-10T03:00:00Z',
      '2026-11-19T23:30:00Z',
      '2026-11-20T03:00:00Z',
      '2026-11-20T23:30:00Z',
    ];
    expect(keptTimes(times, { daily: 2 })).toEqual(times.slice(2));
    expect(keptTimes(times, { daily: 2 }, 'UTC')).toEqual([times[1], times[3]]);
    expect(keptTimes(times, { daily: 3 })).toEqual([times[0], times[2], times[3]]);
  });

  test('counts weeks from Monday, in the year of their Thursday', () => {
    const weekOf = (day: string) => periodOf('weekly', new Date(`${day}T12:00:00Z`), 'UTC');
    expect(weekOf('2026-11-22')).toBe('2026-W47');
    expect(weekOf('2026-11-23')).toBe('2026-W48');
    expect(weekOf('2027-01-03')).toBe('2026-W53');
    expect(weekOf('2027-01-04')).toBe('2027-W01');
    expect(weekOf('2024-12-30')).toBe('2025-W01');
    expect(weekOf('2000-01-02')).toBe('1999-W52');
  });

  test('counts an hour that comes twice as two hours', () => {
    // Clocks in Berlin went back from 3:00 to 2:00 on 25 October 2026, at 1:00 UTC.
    const times = ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'];
    expect(keptTimes(times, { hourly: 2 })).toEqual(times);
    expect(keptTimes(times, { daily: 2 })).toEqual([times[1]]);
  });

  test('keeps snapshots dated in the future, and never counts them', () => {
    const times = ['2026-11-20T01:00:00Z', '2026-11-21T01:00:00Z', '2099-01-01T00:00:00Z'];
    expect(keptTimes(times, { last: 1 })).toEqual(times.slice(1));
    expect(keptTimes(times, { yearly: 1 })).toEqual(times.slice(1));
  });

  test('gives every reason', () => {
    const snapshot = at('2026-11-22T01:00:00Z', { isProtected: true });
    const rules = { last: 1, daily: 1, weekly: 1, withinMs: 1000 * 60 * 60 * 24 };
    expect(decideRetention([snapshot], rules, now, zone)).toEqual([
      {
        id: snapshot.id,
        reasons: [
          { rule: 'protected' },
          { rule: 'newest' },
          { rule: 'last' },
          { rule: 'daily', period: '2026-11-22' },
          { rule: 'weekly', period: '2026-W47' },
          { rule: 'within' },
        ],
      },
    ]);
  });
});

const snapshots = fc
  .uniqueArray(
    fc.record({
      hours: fc.integer({ min: -24 * 30, max: 24 * 800 }),
      isProtected: fc.boolean(),
    }),
    { selector: ({ hours }) => hours, maxLength: 40 },
  )
  .map((rows) =>
    rows.map(({ hours, isProtected }) =>
      at(new Date(now.getTime() - hours * 3_600_000).toISOString(), { isProtected }),
    ),
  );
const count = fc.integer({ min: 1, max: 10 });
const rulesOf = fc
  .record(
    {
      last: count,
      hourly: count,
      daily: count,
      weekly: count,
      monthly: count,
      yearly: count,
      withinMs: fc.integer({ min: 1, max: 1000 * 3_600_000 }),
    },
    { requiredKeys: [] },
  )
  .filter((rules) => Object.keys(rules).length > 0);
const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia');

describe('properties of decideRetention', () => {
  test('decides on each snapshot once, the oldest first, and keeps protected, future and newest ones', () => {
    fc.assert(
      fc.property(snapshots, rulesOf, zones, (all, rules, timeZone) => {
        const decisions = decideRetention(all, rules, now, timeZone);
        expect(decisions.map(({ id }) => id)).toEqual(all.map(({ id }) => id).toSorted());
        const kept = new Set(keptIds(decisions));
        for (const { id, createdAt, isProtected } of all)
          if (isProtected || createdAt > now) expect(kept).toContain(id);
        const newest = all.filter(({ createdAt }) => createdAt <= now).map(({ id }) => id);
        if (newest.length > 0) expect(kept).toContain(newest.toSorted().at(-1));
      }),
    );
  });

  test('keeps exactly the newest snapshot of each period by its rule', () => {
    fc.assert(
      fc.property(snapshots, rulesOf, zones, (all, rules, timeZone) => {
        const decisions = new Map(
          decideRetention(all, rules, now, timeZone).map(({ id, reasons }) => [id, reasons]),
        );
        const past = all.filter(({ createdAt }) => createdAt <= now);
        for (const rule of periodRules) {
          const newestOf = new Map<string, string>();
          for (const { id, createdAt } of past) {
            const period = periodOf(rule, createdAt, timeZone);
            if (id > (newestOf.get(period) ?? '')) newestOf.set(period, id);
          }
          const expected = [...newestOf.values()]
            .toSorted()
            .toReversed()
            .slice(0, rules[rule] ?? 0);
          const byRule = [...decisions].filter(([, reasons]) => reasons.some((one) => one.rule === rule));
          expect(byRule.map(([id]) => id)).toEqual(expected.toReversed());
        }
      }),
    );
  });

  test('decides on the others as if there were no snapshots from the future', () => {
    fc.assert(
      fc.property(snapshots, rulesOf, zones, (all, rules, timeZone) => {
        const past = all.filter(({ createdAt }) => createdAt <= now);
        const pastIds = new Set(past.map(({ id }) => id));
        const decisions = decideRetention(all, rules, now, timeZone);
        expect(decisions.filter(({ id }) => pastIds.has(id))).toEqual(
          decideRetention(past, rules, now, timeZone),
        );
      }),
    );
  });

  test('decides the same on the kept snapshots after the others were removed', () => {
    fc.assert(
      fc.property(snapshots, rulesOf, zones, (all, rules, timeZone) => {
        const decisions = decideRetention(all, rules, now, timeZone);
        const kept = decisions.filter(({ reasons }) => reasons.length > 0);
        const left = all.filter(({ id }) => kept.some((one) => one.id === id));
        expect(decideRetention(left, rules, now, timeZone)).toEqual(kept);
      }),
    );
  });
});
