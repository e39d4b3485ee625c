import { Failure } from '../../failure.ts';
import { isFromFuture } from '../latest.ts';
import { periodOf, periodRules, type PeriodRule } from './retention-period.ts';

/** Which snapshots to keep. A rule that is left out keeps none. Numbers are integers of one or more. */
export interface RetentionRules extends Partial<Record<PeriodRule, number>> {
  /** Keeps this number of the newest snapshots. */
  last?: number;
  /** Keeps all snapshots up to this age, in milliseconds. */
  withinMs?: number;
}

/** What the rules need to know about a snapshot. */
export interface DatedSnapshot {
  id: string;
  createdAt: Date;
  isProtected: boolean;
}

/** Why a snapshot is kept. */
export type KeepReason =
  { rule: PeriodRule; period: string } | { rule: 'last' | 'within' | 'newest' | 'protected' | 'future' };

export interface RetentionDecision {
  id: string;
  /** Empty: the snapshot is not kept. */
  reasons: KeepReason[];
}

/**
 * Decides which of one guest's snapshots the rules keep, and why; the oldest first. A period rule keeps the newest snapshot of
 * each period. The newest snapshot of all and protected ones are always kept. Snapshots dated in the future are kept too, but
 * never count as the newest: a clock was or is wrong, and that must not delete other snapshots.
 * Throws Failure `usage` if there is no rule.
 * @param timeZone an IANA name: days, weeks and months are by local time there
 */
export function decideRetention(
  snapshots: readonly DatedSnapshot[],
  rules: RetentionRules,
  now: Date,
  timeZone: string,
): RetentionDecision[] {
  if (!Object.values(rules).some((rule) => rule !== undefined)) throw noRules();
  const inOrder = snapshots.toSorted(byAge);
  const reasonsById = new Map(inOrder.map(({ id }) => [id, [] as KeepReason[]]));
  const keep = (id: string, reason: KeepReason) => reasonsById.get(id)?.push(reason);
  for (const { id, createdAt, isProtected } of inOrder) {
    if (isProtected) keep(id, { rule: 'protected' });
    if (isFromFuture(createdAt, now)) keep(id, { rule: 'future' });
  }
  const newestFirst = inOrder.filter(({ createdAt }) => !isFromFuture(createdAt, now)).toReversed();
  for (const { id } of newestFirst.slice(0, 1)) keep(id, { rule: 'newest' });
  for (const { id } of newestFirst.slice(0, rules.last ?? 0)) keep(id, { rule: 'last' });
  for (const rule of periodRules)
    for (const { id, period } of newestOfPeriods(newestFirst, rule, rules[rule] ?? 0, timeZone))
      keep(id, { rule, period });
  const { withinMs } = rules;
  if (withinMs !== undefined)
    for (const { id, createdAt } of newestFirst)
      if (now.getTime() - createdAt.getTime() <= withinMs) keep(id, { rule: 'within' });
  return [...reasonsById].map(([id, reasons]) => ({ id, reasons }));
}

/** The newest snapshot of each of the last `count` periods that have any. */
function newestOfPeriods(
  newestFirst: readonly DatedSnapshot[],
  rule: PeriodRule,
  count: number,
  timeZone: string,
): { id: string; period: string }[] {
  const newest = new Map<string, string>();
  if (count === 0) return [];
  for (const { id, createdAt } of newestFirst) {
    const period = periodOf(rule, createdAt, timeZone);
    if (newest.has(period)) continue;
    if (newest.size === count) break;
    newest.set(period, id);
  }
  return [...newest].map(([period, id]) => ({ id, period }));
}

function byAge(one: DatedSnapshot, other: DatedSnapshot): number {
  return one.createdAt.getTime() - other.createdAt.getTime() || (one.id < other.id ? -1 : 1);
}

function noRules(): Failure {
  return new Failure('usage', 'No rule says which snapshots to keep.', {
    advice: 'Give one or more, such as --keep-daily 7 --keep-weekly 4; --dry-run shows what they keep.',
  });
}
