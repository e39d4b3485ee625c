import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import { parseRateLimit, rateLimitForm, type RateLimit } from '../../rate-limit.ts';
import { optionalText, type Arguments } from './options.ts';

/** For every command that sends or fetches images over a line. */
export const limitRateOption = {
  'limit-rate': {
    type: 'string',
    requiresArg: true,
    describe:
      'The most bytes per second on the line: 500k, 20M; by time of day: "08:00-18:00 20M, otherwise unlimited"',
  },
} as const satisfies Record<string, Options>;

/** Null when not given. Throws Failure `usage`. */
export function readLimitRate(args: Arguments): RateLimit | null {
  const text = optionalText(args, 'limit-rate');
  if (text === null) return null;
  const limit = parseRateLimit(text);
  if (!('problem' in limit)) return limit;
  throw new Failure('usage', `--limit-rate ${JSON.stringify(text)} is not understood: ${limit.problem}.`, {
    advice: `It takes ${rateLimitForm}.`,
  });
}
