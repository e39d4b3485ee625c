/** Rules that keep one snapshot of each period. */
export const periodRules = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type PeriodRule = (typeof periodRules)[number];

const DAY_MS = 24 * 60 * 60 * 1000;
const THURSDAY = 4;

/** The name of the period that a moment is in, by local time: `2026-11-22`, `2026-W47`, `2026-11`. */
export function periodOf(rule: PeriodRule, at: Date, timeZone: string): string {
  const { year, month, day, hour, offset } = localTime(at, timeZone);
  switch (rule) {
    case 'hourly':
      // With the offset, because an hour comes twice when clocks are set back.
      return `${year}-${month}-${day} ${hour}:00 ${offset}`;
    case 'daily':
      return `${year}-${month}-${day}`;
    case 'weekly':
      return isoWeek(Number(year), Number(month), Number(day));
    case 'monthly':
      return `${year}-${month}`;
    case 'yearly':
      return year;
  }
}

/** ISO 8601: a week belongs to the year of its Thursday. */
function isoWeek(year: number, month: number, day: number): string {
  const date = new Date(Date.UTC(year, month - 1, day));
  const weekday = date.getUTCDay() === 0 ? 7 : date.getUTCDay();
  const thursday = new Date(date.getTime() + (THURSDAY - weekday) * DAY_MS);
  const weekYear = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(weekYear, 0, 1)) / (7 * DAY_MS));
  return `${weekYear}-W${String(week).padStart(2, '0')}`;
}

type LocalTime = Record<'year' | 'month' | 'day' | 'hour' | 'offset', string>;

const formats = new Map<string, Intl.DateTimeFormat>();

function localTime(at: Date, timeZone: string): LocalTime {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    });
    formats.set(timeZone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const { year = '', month = '', day = '', hour = '', timeZoneName = '' } = parts;
  return { year, month, day, hour, offset: timeZoneName };
}
