import { Failure } from '../../failure.ts';
import { optionalText, type Arguments } from './options.ts';

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000 } as const;
const LONGEST_MS = 24 * unitMs.h;

/** Reads an option such as `30s`, `2m`, `1h`; null if it is not given. Throws Failure `usage`. */
export function readTimeSpanMs(args: Arguments, option: string): number | null {
  const text = optionalText(args, option);
  if (text === null) return null;
  const { count, unit } = /^(?<count>[1-9][0-9]{0,5})(?<unit>[smh])$/.exec(text)?.groups ?? {};
  const spanMs = unit === undefined ? Number.NaN : Number(count) * unitMs[unit as keyof typeof unitMs];
  if (spanMs <= LONGEST_MS) return spanMs;
  throw new Failure('usage', `--${option} ${JSON.stringify(text)} is not understood.`, {
    advice: 'Give seconds, minutes or hours, at most a day: 30s, 2m, 1h.',
  });
}
