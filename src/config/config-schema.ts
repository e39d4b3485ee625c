import { z } from 'zod';
import type { ConfigFile, KeepSettings, StoreSettings } from './config.ts';
import { durationForm, parseDuration } from './duration.ts';
import { parseRateLimit, rateLimitForm } from '../rate-limit.ts';
import { isPingUrl, pingUrlForm } from './ping-url.ts';

/** Longer than any path or URL. */
const longestText = 4096;

function text(form: string, isRight: (value: string) => boolean) {
  const error = `must be ${form}`;
  return z
    .string({ error })
    .max(longestText, { error })
    .refine((value) => !/\p{Cc}/u.test(value) && isRight(value), { error });
}

const absolutePath = text('an absolute path, such as /etc/vmferry/passphrase', (value) =>
  value.startsWith('/'),
);
const storeName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const storeNameForm = 'a name of letters and digits (after the first also . _ -)';
const location = text(
  'the place of the store: an absolute path, sftp://USER@HOST/PATH or HOST:PATH',
  (value) => value.startsWith('/') || /^[^/]+:./.test(value),
);
const count = z
  .int({ error: 'must be a whole number from 1 to 100000' })
  .min(1, { error: 'must be a whole number from 1 to 100000' })
  .max(100_000, { error: 'must be a whole number from 1 to 100000' });
const duration = text(durationForm, (value) => parseDuration(value) !== null);

function mapping<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'invalid_type' ? 'must be a mapping of keys to values' : undefined),
  });
}

const rateLimit = z
  .string({ error: `must be ${rateLimitForm}` })
  .max(longestText, { error: `must be ${rateLimitForm}` })
  .transform((value, context) => {
    const limit = parseRateLimit(value);
    if (!('problem' in limit)) return limit;
    context.addIssue({ code: 'custom', message: `must be ${rateLimitForm}; ${limit.problem}` });
    return z.NEVER;
  });

const store = mapping({
  location,
  'passphrase-file': absolutePath.exactOptional(),
  'passphrase-command': text('a shell command that prints the passphrase', (value) =>
    /\S/.test(value),
  ).exactOptional(),
  'ssh-config': absolutePath.exactOptional(),
  'limit-rate': rateLimit.exactOptional(),
}).transform((value): StoreSettings => ({
  location: value.location,
  passphraseFile: value['passphrase-file'] ?? null,
  passphraseCommand: value['passphrase-command'] ?? null,
  sshConfig: value['ssh-config'] ?? null,
  limitRate: value['limit-rate'] ?? null,
}));

const keep = mapping({
  last: count.exactOptional(),
  hourly: count.exactOptional(),
  daily: count.exactOptional(),
  weekly: count.exactOptional(),
  monthly: count.exactOptional(),
  yearly: count.exactOptional(),
  within: duration.exactOptional(),
})
  .refine((value) => Object.keys(value).length > 0, {
    error: 'must have a rule, such as `daily: 7`; without rules leave it out',
  })
  .transform(({ within, ...counts }): KeepSettings => {
    const withinMs = within === undefined ? null : parseDuration(within);
    return withinMs === null ? counts : { ...counts, withinMs };
  });

const configuration = mapping({
  stores: z
    .record(z.string().regex(storeName, { error: `must be ${storeNameForm}` }), store, {
      error: (issue) =>
        issue.code === 'invalid_type' ? 'must be a mapping of store names to their settings' : undefined,
    })
    .exactOptional(),
  defaults: mapping({
    store: text(storeNameForm, (value) => storeName.test(value)).exactOptional(),
  }).exactOptional(),
  keep: keep.exactOptional(),
  'ping-url': text(pingUrlForm, isPingUrl).exactOptional(),
  metrics: text('the absolute path of a file that ends in .prom', (value) =>
    /^\/.*\.prom$/.test(value),
  ).exactOptional(),
});

/** The schema of a configuration file, and its translation. Each error message follows the key's name. */
export const configSchema = configuration.transform((value): ConfigFile => ({
  ...(value.stores && { stores: value.stores }),
  ...(value.defaults?.store !== undefined && { defaultStore: value.defaults.store }),
  ...(value.keep && { keep: value.keep }),
  ...(value['ping-url'] !== undefined && { pingUrl: value['ping-url'] }),
  ...(value.metrics !== undefined && { metricsFile: value.metrics }),
}));

/** The keys that are allowed at a path, for suggestions. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  const [first] = path;
  if (first === undefined) return Object.keys(configuration.shape);
  if (first === 'stores' && path.length === 2)
    return ['location', 'passphrase-file', 'passphrase-command', 'ssh-config', 'limit-rate'];
  if (first === 'keep') return ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'within'];
  return first === 'defaults' ? ['store'] : [];
}
