import type { Options } from 'yargs';
import type { RetryRequest } from '../../../operations/migrate/line/patience.ts';
import { optionalText, type Arguments } from '../options.ts';
import { readTimeSpanMs } from '../time-span.ts';

/** What a move does when its line is lost. */
export const retryOptions = {
  'retry-for': {
    type: 'string',
    requiresArg: true,
    describe:
      'How long to try again when the line is lost: 30s, 10m, 0 for not at all; by default 24h while the guest runs, and 10m while it is down',
  },
  'max-downtime': {
    type: 'string',
    requiresArg: true,
    describe: 'Start the guest here again if the line is still lost after it has been down for this long',
  },
} as const satisfies Record<string, Options>;

/** Throws Failure `usage`. */
export function readRetrying(args: Arguments): RetryRequest {
  return {
    retryForMs: optionalText(args, 'retry-for') === '0' ? 0 : readTimeSpanMs(args, 'retry-for'),
    maxDowntimeMs: readTimeSpanMs(args, 'max-downtime'),
  };
}
