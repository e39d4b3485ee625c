import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mergeConfig } from '../../../src/config/config.ts';
import { parseConfig } from '../../../src/config/parse-config.ts';
import { Failure } from '../../../src/failure.ts';

const whole = `
stores:
  offsite:
    location: "sftp://backup@host/vmferry"
    passphrase-file: /etc/vmferry/pass
    ssh-config: /root/.ssh/config
    limit-rate: 22:00-06:00 unlimited, otherwise 2M
  disk: { location: /mnt/backups, passphrase-command: "pass show vmferry" }
defaults: { store: offsite }
keep: { daily: 7, weekly: 4, monthly: 12, within: 3d }
ping-url: https://hc-ping.com/1-2
metrics: /var/lib/node_exporter/vmferry.prom
`;

function problemsOf(text: string): string[] {
  try {
    parseConfig(text, '/c.yaml');
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    expect(error.all.every(({ code }) => code === 'usage')).toBe(true);
    return error.all.map(({ message }) => message);
  }
  return [];
}

describe('a configuration', () => {
  test('may have all keys', () => {
    expect(parseConfig(whole, '/c.yaml')).toEqual({
      stores: {
        offsite: {
          location: 'sftp://backup@host/vmferry',
          passphraseFile: '/etc/vmferry/pass',
          passphraseCommand: null,
          sshConfig: '/root/.ssh/config',
          limitRate: {
            text: '22:00-06:00 unlimited, otherwise 2M',
            rules: [{ from: 22 * 60, to: 6 * 60, rate: null }],
            otherwise: 2 * 2 ** 20,
          },
        },
        disk: {
          location: '/mnt/backups',
          passphraseFile: null,
          passphraseCommand: 'pass show vmferry',
          sshConfig: null,
          limitRate: null,
        },
      },
      defaultStore: 'offsite',
      keep: { daily: 7, weekly: 4, monthly: 12, withinMs: 3 * 86_400_000 },
      pingUrl: 'https://hc-ping.com/1-2',
      metricsFile: '/var/lib/node_exporter/vmferry.prom',
    });
  });

  test.each(['', '\n# nothing yet\n', '{}'])('may be empty: %j', (text) => {
    expect(parseConfig(text, '/c.yaml')).toEqual({});
  });

  test.each([
    ['kep: {daily: 7}', '/c.yaml, line 1, column 1: The key "kep" is not known here. Did you mean keep?'],
    [
      'stores:\n  a:\n    location: /a\n    passphrase-fil: /x\n',
      '/c.yaml, line 4, column 5: The key "passphrase-fil" is not known here. Did you mean passphrase-file?',
    ],
    [
      'keep:\n  daily: 0\n',
      '/c.yaml, line 2, column 10: keep.daily must be a whole number from 1 to 100000.',
    ],
    [
      'keep:\n  daily: "7"\n',
      '/c.yaml, line 2, column 10: keep.daily must be a whole number from 1 to 100000.',
    ],
    ['keep: { within: 3 }', /line 1, column 17: keep.within must be a number of hours/],
    ['keep: {}', /line 1, column 7: keep must have a rule/],
    ['keep:\n', /line 1, column 1: keep must be a mapping of keys to values/],
    ['stores:\n  a: {}\n', /line 2, column 6: "location" is missing here; it must be the place of the store/],
    ['stores:\n  a: { location: backups }\n', /line 2, column 18: stores.a.location must be the place/],
    ['stores:\n  "a/b": { location: /x }\n', /line 2, column 3: "a\/b" must be a name of letters and digits/],
    ['ping-url: ftp://x/', /line 1, column 11: ping-url must be an http/],
    ['metrics: vmferry.prom', /line 1, column 10: metrics must be the absolute path/],
    ['- a\n', /line 1, column 1: The file must be a mapping of keys to values/],
    [
      'keep: {daily: 7}\nkeep: {daily: 8}\n',
      /line 2, column 1: This is not valid YAML: Map keys must be unique/,
    ],
    ['keep: {daily: 7\n', /This is not valid YAML/],
    ['a: &x 1\nb: *x\n', /line 2, column 4: Aliases/],
    ['keep: !!binary AAAA', /line 1, column 7: This is not valid YAML: Unresolved tag/],
  ])('says where it is wrong: %j', (text, problem) => {
    expect(problemsOf(text)).toEqual([
      expect.stringMatching(problem instanceof RegExp ? problem : escaped(problem)),
    ]);
  });

  test('reports all errors at once', () => {
    expect(problemsOf('kep: 1\nkeep: { dayly: 2, weekly: x }\n')).toHaveLength(3);
  });

  test('cannot use aliases to grow, nor nest deeply', () => {
    const bomb = [
      'a: &a [x]',
      ...'bcdefgh'.split('').map((key, at) => `${key}: &${key} [${`*${'abcdefg'[at]},`.repeat(9)}]`),
    ];
    expect(problemsOf(bomb.join('\n'))[0]).toMatch(/Aliases/);
    for (const sign of ['[', '{', '[[{', '- ', '? ', 'a: ', '-\t'])
      expect(problemsOf(sign.repeat(20_000))).toEqual(['/c.yaml is nested too deeply.']);
    const deepest = Array.from({ length: 350 }, (_, level) => `${' '.repeat(level)}a:`).join('\n');
    expect(problemsOf(deepest)).toHaveLength(1);
    expect(problemsOf('['.repeat(500))).toHaveLength(1);
    expect(problemsOf('#'.repeat(70_000))[0]).toMatch(/larger than 64 KiB/);
  });

  test('of any text is parsed, or refused with line and column', () => {
    const part = fc.constantFrom(
      'stores',
      'keep',
      ':',
      ' ',
      '\n',
      '  ',
      '{',
      '}',
      '[',
      '*a',
      '&a',
      '-',
      '"',
      '7',
      '|',
      '?',
      '!',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(part).map((parts) => parts.join('')),
        ),
        (text) => {
          for (const problem of problemsOf(text))
            expect(problem).toMatch(/^\/c\.yaml(?:, line [1-9]\d*, column [1-9]\d*:| is )/);
        },
      ),
    );
  });

  test('__proto__ is an unknown key like any other', () => {
    expect(problemsOf('__proto__: 1')[0]).toMatch(/line 1, column 1: The key "__proto__" is not known/);
    expect(problemsOf('stores: { __proto__: { location: /x } }')).toHaveLength(1);
  });
});

function escaped(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}$`);
}

test('a later file wins: stores by name, the keep rules as a whole', () => {
  const first = parseConfig(
    'stores: { a: {location: /a}, b: {location: /b} }\nkeep: {daily: 7, last: 3}\nmetrics: /m.prom',
    '1',
  );
  const second = parseConfig('stores: { b: {location: /c} }\nkeep: {weekly: 1}\ndefaults: {store: b}', '2');
  const merged = mergeConfig([
    { path: '1', content: first },
    { path: '2', content: second },
  ]);
  expect(merged).toMatchObject({
    stores: { a: { location: '/a' }, b: { location: '/c' } },
    keep: { weekly: 1 },
    defaultStore: 'b',
    pingUrl: null,
    metricsFile: '/m.prom',
    files: ['1', '2'],
  });
  expect(merged.keep).toEqual({ weekly: 1 });
});
