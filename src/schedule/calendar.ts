/** When a backup runs, parsed from `--at`. Pure; see systemd.time(7), "Calendar events". */
export interface Calendar {
  /** For `OnCalendar=`. */
  onCalendar: string;
  /** The five fields of a crontab line; null if cron cannot express it. */
  cronFields: string | null;
  /** Whether vmferry understands it; else only systemd can tell whether it is valid. */
  isUnderstood: boolean;
  /** The longest random delay, so that not all backups start at the same second. */
  spreadSeconds: number;
}

const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const weekdayName =
  'sun(?:day)?|mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?';
const weekdayItem = `(?:${weekdayName})(?:\\.\\.(?:${weekdayName}))?`;
const timeOfDay = new RegExp(
  `^(?:(?<days>${weekdayItem}(?:,${weekdayItem})*) +)?(?<hour>[01]?[0-9]|2[0-3]):(?<minute>[0-5][0-9])(?::00)?$`,
  'i',
);
const cronFieldsByWord: ReadonlyMap<string, string> = new Map([
  ['hourly', '0 * * * *'],
  ['daily', '0 0 * * *'],
  ['weekly', '0 0 * * 1'],
  ['monthly', '0 0 1 * *'],
]);
/** No characters that a unit file or a shell would interpret, and no hyphen at the beginning. */
const calendarExpression = /^[A-Za-z0-9*][A-Za-z0-9*:.,/~ _+-]{0,199}$/;

/** Null if it cannot be a calendar expression. */
export function parseCalendar(text: string): Calendar | null {
  const expression = text.trim();
  const word = expression.toLowerCase();
  const fields = cronFieldsByWord.get(word);
  if (fields !== undefined)
    return {
      onCalendar: word,
      cronFields: fields,
      isUnderstood: true,
      spreadSeconds: word === 'hourly' ? 120 : 900,
    };
  const daily = timeOfDay.exec(expression)?.groups;
  if (daily !== undefined) return atTimeOfDay(daily);
  if (!calendarExpression.test(expression)) return null;
  // It may recur every few minutes, so the delay is short.
  return { onCalendar: expression, cronFields: null, isUnderstood: false, spreadSeconds: 60 };
}

function atTimeOfDay({ days, hour = '', minute = '' }: Record<string, string | undefined>): Calendar {
  const numbers = days === undefined ? null : days.toLowerCase().split(',').flatMap(weekdayNumbers);
  const unique = numbers === null ? null : [...new Set(numbers)].toSorted((one, other) => one - other);
  const names = unique?.map((number) => capitalized(weekdays[number] ?? '')).join(',');
  return {
    onCalendar: `${names === undefined ? '' : `${names} `}*-*-* ${hour.padStart(2, '0')}:${minute}:00`,
    cronFields: `${Number(minute)} ${Number(hour)} * * ${unique?.join(',') ?? '*'}`,
    isUnderstood: true,
    spreadSeconds: 900,
  };
}

/** The days of an item such as `fri..mon`, which are four. */
function weekdayNumbers(item: string): number[] {
  const [first = '', last = first] = item.split('..');
  const from = weekdayNumber(first);
  const count = ((weekdayNumber(last) - from + 7) % 7) + 1;
  return Array.from({ length: count }, (_, index) => (from + index) % 7);
}

function weekdayNumber(name: string): number {
  return weekdays.findIndex((weekday) => name.startsWith(weekday));
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
