import { describe, expect, test } from '@jest/globals';
import { mergeConfig } from '../../../src/config/config.ts';
import { durationText, parseDuration } from '../../../src/config/duration.ts';
import { parseConfig } from '../../../src/config/parse-config.ts';
import { resolveStore } from '../../../src/config/resolve-store.ts';
import { Failure } from '../../../src/failure.ts';

const text = 'stores: { offsite: { location: "h:/v", ssh-config: /c } }\ndefaults: { store: offsite }';
const config = mergeConfig([{ path: '/c.yaml', content: parseConfig(text, '/c.yaml') }]);
const none = mergeConfig([]);

describe('a store', () => {
  test.each([['offsite'], ['@offsite'], [null]])('from the configuration is found by %j', (named) => {
    expect(resolveStore(config, named)).toEqual({
      name: 'offsite',
      location: 'h:/v',
      sshConfig: '/c',
      passphraseFile: null,
      passphraseCommand: null,
      limitRate: null,
    });
  });

  test.each(['./offsite', '/offsite', 'offsite:/x', 'sftp://offsite/x', '.', '..'])(
    'at %s is found without the configuration',
    (location) => {
      expect(resolveStore(config, location)).toMatchObject({ name: null, location, sshConfig: null });
    },
  );

  test('with an unknown name is refused, with a suggestion', () => {
    expect(() => resolveStore(config, '@ofsite')).toThrow(/no store named "ofsite".*mean offsite/);
    expect(() => resolveStore(config, '@__proto__')).toThrow(/no store named/);
    expect(() => resolveStore(none, '@x')).toThrow(/no store named "x"/);
    expect(() => resolveStore(config, 'ofsite')).toThrow(/no store named "ofsite".*mean offsite/);
    expect(() => resolveStore(config, 'toString')).toThrow(/no store named "toString"\.$/);
    expect(() => resolveStore(none, null)).toThrow(/No store was given/);
  });
});

test('the advice says how to type a directory', () => {
  const advice = (named: string) => failureFrom(() => resolveStore(config, named)).advice;
  expect(advice('ofsite')).toBe(
    'For a directory of that name, type ./ofsite. The configuration has: offsite.',
  );
  expect(advice('@ofsite')).toBe('The configuration has: offsite.');
});

function failureFrom(work: () => unknown): Failure {
  try {
    work();
  } catch (error) {
    if (error instanceof Failure) return error;
  }
  throw new Error('nothing was thrown');
}

test.each([
  ['36h', 36 * 3_600_000, '36h'],
  ['30d', 30 * 86_400_000, '30d'],
  ['8w', 56 * 86_400_000, '56d'],
  ['48h', 48 * 3_600_000, '2d'],
])('%s is a length of time', (duration, milliseconds, again) => {
  expect(parseDuration(duration)).toBe(milliseconds);
  expect(durationText(milliseconds)).toBe(again);
});

test.each(['', '0d', '30', '30m', '1.5d', '-1d', '30 d', '999999w', '1y', '٣d'])(
  '%j is not a duration',
  (duration) => {
    expect(parseDuration(duration)).toBeNull();
  },
);
