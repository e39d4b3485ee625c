import { Failure } from '../../failure.ts';
import { isFromFuture } from '../latest.ts';
import { periodOf, periodRules, type PeriodRule } from './retention-period.ts';

/** By which snapshots are kept; a rule that is left out keeps none. Whole numbers of one or more. */
export interface RetentionRules extends Partial<Record<PeriodRule, number>> {
  /** The newest so many. */
  last?: number;
  /** All that are not older, in milliseconds. */
  withinMs?: number;
}

/** What is known of a snapshot when it is decided whether to keep it. */
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
  /** None: it is not kept. */
  reasons: KeepReason[];
}

/**
 * Which of one guest's snapshots the rules keep, and why; the oldest first. Of each period that counts the newest is
 * kept. The newest of all is kept, whatever the rules say, and so is what is protected. Snapshots that are dated later
 * than now are kept, too, but are nobody's newest: were the clock wrong when they were made, or is it now, they must not
 * have others deleted.
 * @param timeZone an IANA name: days, weeks and months are those of that place
 * Throws Failure `usage` when there is no rule.
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
