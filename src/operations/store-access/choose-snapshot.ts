import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { formatTimeWithZone } from '../../figures.ts';
import { isGuestName } from '../../guest/definition.ts';
import { isFromFuture, latestFirst } from '../../repository/latest.ts';
import { snapshotTime } from '../../repository/files/snapshot-id.ts';

/** A guest's snapshot as the user names it: `GUEST[@WHEN]`. */
export interface SnapshotReference {
  guest: string;
  /** For `chooseSnapshot`; `latest` if it was left out. */
  when: string;
}

/**
 * Parses `GUEST[@WHEN]`. The text after the last `@` is WHEN if it is `latest` or begins with a digit; otherwise it is part of the
 * guest's name. Throws Failure `usage` for an invalid guest's name or WHEN.
 */
export function parseSnapshotReference(text: string): SnapshotReference {
  const last = text.lastIndexOf('@');
  // In `a@b.img`, the text after `@` does not begin like an id or a time.
  const at = /@(?:\d[^@]*|latest)?$/.test(text) ? last : -1;
  const guest = at === -1 ? text : text.slice(0, at);
  const when = at === -1 ? 'latest' : text.slice(at + 1);
  if (!isGuestName(guest)) throw new Failure('usage', `${JSON.stringify(guest)} cannot be a guest's name.`);
  if (when !== 'latest' && !idPrefix.test(when) && parseWhen(when) === null) throw badWhen(when);
  return { guest, when };
}

/**
 * The id of the snapshot that WHEN names among those of a guest: `latest` (see `latestFirst`; a warning names a newer one from the
 * future), an id or its unique beginning, or a time. A time names the newest snapshot made until the end of that day, minute or
 * second; it is local time unless `Z` or an offset follows. Throws Failure `snapshot-missing`, or `usage` for an ambiguous or
 * invalid WHEN.
 * @param ids the oldest first
 */
export function chooseSnapshot(
  ids: readonly string[],
  { guest, when }: SnapshotReference,
  now: Date,
  report: Context['report'],
): string {
  const [latest] = latestFirst(ids, now);
  if (latest === undefined) throw missing(`The store has no snapshot of ${guest}.`);
  if (when === 'latest') {
    warnOfFuture(ids, latest, guest, now, report);
    return latest;
  }
  const until = parseWhen(when);
  if (until === null && !idPrefix.test(when)) throw badWhen(when);
  if (until !== null) return newestUntil(ids, until, guest, when);
  return chooseSnapshotById(ids, { guest, when });
}

/** Like `chooseSnapshot`, but only for ids and their beginnings. For deletions: a time could name an unintended snapshot. */
export function chooseSnapshotById(ids: readonly string[], { guest, when }: SnapshotReference): string {
  if (when === 'latest' || !idPrefix.test(when))
    throw new Failure('usage', `${JSON.stringify(when)} is not the id of a snapshot.`, {
      advice: `vmferry list STORE ${guest} shows the ids: GUEST@ID`,
    });
  const [found, ...others] = ids.filter((id) => id.startsWith(when));
  if (found === undefined) throw missing(`The store has no snapshot ${when} of ${guest}.`);
  if (others.length > 0)
    throw new Failure('usage', `${others.length + 1} snapshots of ${guest} begin with ${when}.`, {
      advice: `Give more of the id: ${[found, ...others].slice(0, 5).join(', ')}${others.length > 4 ? ', …' : ''}`,
    });
  return found;
}

/** Warns of a snapshot dated in the future, which would otherwise be the latest, and says how to choose it. */
function warnOfFuture(
  ids: readonly string[],
  latest: string,
  guest: string,
  now: Date,
  report: Context['report'],
): void {
  const future = ids.filter((id) => isFromFuture(snapshotTime(id) ?? now, now));
  const newest = future.at(-1);
  if (newest === undefined) return;
  const others = future.length === 1 ? '' : ` The same is true of ${future.length - 1} more.`;
  const taken =
    newest === latest
      ? 'It is used, because there is no other.'
      : `The latest of the others is used: ${guest}@${latest}. To use the future one, give ${guest}@${newest}.`;
  const message =
    `The snapshot ${guest}@${newest} is dated in the future (now: ${formatTimeWithZone(now.toISOString())}): ` +
    `a clock was wrong when it was made, or is wrong now.${others} ${taken}`;
  report({ type: 'warning', code: 'other', message });
}

/** The beginning of a snapshot's id (doc/store.md): at least the year. */
const idPrefix = /^\d{4}[0-9TZ]*(?:-[0-9a-f]*)?$/;
const timePattern = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?(Z|[+-]\d{2}:?\d{2})?)?$/;

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

/** The first moment after the given day, minute or second; null if the text is no time. */
function parseWhen(text: string): Date | null {
  const [, year, month, day, hour, minute, second, zone] = timePattern.exec(text) ?? [];
  if (day === undefined) return null;
  const date = [Number(year), Number(month) - 1, Number(day)] as const;
  const time = [Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0)] as const;
  const utcMs = Date.UTC(...date, ...time);
  // Refuse 30 February, which Date would turn into a day in March.
  const said = `${year}-${month}-${day}T${hour ?? '00'}:${minute ?? '00'}:${second ?? '00'}.000Z`;
  if (Number.isNaN(utcMs) || new Date(utcMs).toISOString() !== said) return null;
  if (hour === undefined) return new Date(date[0], date[1], date[2] + 1);
  const lengthMs = second === undefined ? MINUTE_MS : SECOND_MS;
  if (zone === undefined) return new Date(new Date(...date, ...time).getTime() + lengthMs);
  return new Date(utcMs - offsetMs(zone) + lengthMs);
}

function offsetMs(zone: string): number {
  if (zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith('-') ? -minutes : minutes) * MINUTE_MS;
}

function newestUntil(ids: readonly string[], until: Date, guest: string, when: string): string {
  const found = ids.findLast((id) => (snapshotTime(id)?.getTime() ?? Infinity) < until.getTime());
  if (found !== undefined) return found;
  throw missing(`${guest} has no snapshot from ${when} or earlier: the oldest is ${ids[0]}.`);
}

function missing(message: string): Failure {
  return new Failure('snapshot-missing', message, { advice: 'vmferry list STORE shows what there is.' });
}

export function badWhen(when: string): Failure {
  return new Failure('usage', `${JSON.stringify(when)} is neither a snapshot nor a time.`, {
    advice:
      'After @, give ‘latest’, a snapshot’s id or its beginning, or a time: 2026-11-22, 2026-11-22T03:00, 2026-11-22T03:00Z.',
  });
}
