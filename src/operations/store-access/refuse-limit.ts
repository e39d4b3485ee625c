import { Failure } from '../../failure.ts';
import type { RateLimit } from '../../rate-limit.ts';

/** A limit for a store in a directory here would have no effect. Throws Failure `usage`. */
export function refuseLimitWithoutLine(
  location: { kind: 'sftp' } | { kind: 'directory'; path: string },
  limitRate: RateLimit | null,
): void {
  if (limitRate === null || location.kind !== 'directory') return;
  throw new Failure(
    'usage',
    `--limit-rate limits what goes over ssh, and ${location.path} is a directory here.`,
    {
      advice:
        'Leave out the limit, on the command line and in the configuration file (limit-rate), or reach the store by ssh.',
    },
  );
}
