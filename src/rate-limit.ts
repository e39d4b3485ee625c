/* Limits for what goes over a line: `20M`, or by time of day: `08:00-18:00 20M, otherwise unlimited`. Pure. */

/** Bytes per second; null: unlimited. */
export type Rate = number | null;

export interface RateLimit {
  /** As it was typed. */
  text: string;
  /** They do not overlap. */
  rules: readonly TimedRate[];
  /** At all other times. */
  otherwise: Rate;
}

/** From the first minute until before the last, in minutes since midnight. If `from` is later than `to`, it goes over midnight. */
export interface TimedRate {
  from: number;
  to: number;
  rate: Rate;
}

/** A line of text at a time: below it, the overhead of the protocol would count more than the data. */
export const LEAST_RATE = 10 * 1024;
const MINUTES_OF_A_DAY = 24 * 60;

const bytesByUnit = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 } as const;

/** The form that `parseRateLimit` accepts, for messages. */
export const rateLimitForm =
  'bytes per second, such as 500k, 20M or 1.5M (k, M and G are powers of 1024), or by time of day: ' +
  '"08:00-18:00 20M, otherwise unlimited"';

/** Parses a limit. Anything else gives the reason why it is none. */
export function parseRateLimit(text: string): RateLimit | { problem: string } {
  const rules: TimedRate[] = [];
  let otherwise: Rate | undefined;
  const parts = text.split(',').map((part) => part.trim());
  for (const part of parts) {
    const {
      from,
      to,
      word,
      amount = '',
    } = /^(?:(?<from>\S+?)-(?<to>\S+)\s+|(?<word>otherwise)\s+)?(?<amount>\S+(?:\s\S+)*)$/i.exec(part)
      ?.groups ?? {};
    const rate = parseRate(amount);
    if (typeof rate === 'object' && rate !== null) return rate;
    if (from === undefined || to === undefined) {
      if (word === undefined && parts.length > 1)
        return { problem: `"${part}" has no time: write it as 08:00-18:00 20M` };
      if (otherwise !== undefined) return { problem: 'it says twice what holds otherwise' };
      otherwise = rate;
      continue;
    }
    const times = parseTimes(from, to);
    if ('problem' in times) return times;
    rules.push({ ...times, rate });
  }
  if (overlaps(rules)) return { problem: 'two of its times overlap' };
  return { text, rules, otherwise: otherwise ?? null };
}

/** The rate at a time, by the clock on the wall: in the hour that a change to summer time leaves out no rule holds, and in the one that comes twice its rule holds twice. */
export function rateAt({ rules, otherwise }: RateLimit, time: Date): Rate {
  const minute = time.getHours() * 60 + time.getMinutes();
  const rule = rules.find((one) => holdsAt(one, minute));
  return rule === undefined ? otherwise : rule.rate;
}

/** The slowest of all its rates. */
export function slowestRate({ rules, otherwise }: RateLimit): Rate {
  const rates = [otherwise, ...rules.map(({ rate }) => rate)].filter((rate) => rate !== null);
  return rates.length === 0 ? null : Math.min(...rates);
}

function holdsAt({ from, to }: TimedRate, minute: number): boolean {
  return from < to ? from <= minute && minute < to : from <= minute || minute < to;
}

function overlaps(rules: readonly TimedRate[]): boolean {
  return rules.some((one, index) =>
    rules.some((other, place) => place !== index && holdsAt(other, one.from)),
  );
}

function parseRate(text: string): Rate | { problem: string } {
  if (/^unlimited$/i.test(text)) return null;
  const { amount, unit = '' } =
    /^(?<amount>[0-9]{1,12}(?:\.[0-9]{1,3})?)(?:(?<unit>[kmg])(?:i?b)?)?(?:\/s)?$/i.exec(text)?.groups ?? {};
  if (amount === undefined) return { problem: `"${text}" is not a number of bytes per second` };
  const rate = Math.round(
    Number(amount) * (bytesByUnit[unit.toLowerCase() as keyof typeof bytesByUnit] ?? 1),
  );
  if (rate < LEAST_RATE)
    return {
      problem:
        unit === ''
          ? `${text} bytes per second are too few: say k, M or G, such as ${text}k`
          : `${text} is less than 10k`,
    };
  return Math.min(rate, Number.MAX_SAFE_INTEGER);
}

function parseTimes(fromText: string, toText: string): { from: number; to: number } | { problem: string } {
  const from = parseTime(fromText);
  const to = parseTime(toText);
  if (from === null || to === null)
    return { problem: `"${from === null ? fromText : toText}" is not a time, such as 08:00` };
  if (from % MINUTES_OF_A_DAY === to % MINUTES_OF_A_DAY && to - from !== MINUTES_OF_A_DAY)
    return { problem: `${fromText}-${toText} is no time at all; the whole day is 00:00-24:00` };
  return { from: from % MINUTES_OF_A_DAY, to };
}

/** Minutes since midnight; null for anything but HH:MM, up to 24:00. */
function parseTime(text: string): number | null {
  const { hours, minutes } = /^(?<hours>[0-9]{1,2}):(?<minutes>[0-5][0-9])$/.exec(text)?.groups ?? {};
  const minute = hours === undefined ? Number.NaN : Number(hours) * 60 + Number(minutes);
  return minute <= MINUTES_OF_A_DAY ? minute : null;
}
