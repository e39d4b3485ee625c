import { expect, test } from '@jest/globals';
import { readPlainMove } from '../../../../src/cli/options/migrate/plain-move-options.ts';

/** What yargs gives without any option but these. */
const typed = {
  via: 'bzip2',
  to: 'oldbox:/srv',
  'remote-command': 'vmferry',
  compression: 'auto',
  'downtime-goal': 10,
  'halt-timeout': 60,
  'boot-timeout': 60,
  disk: [],
  probe: [],
};

test('--via reads the guest, the place, and how it is halted', () => {
  expect(readPlainMove({ ...typed, 'every-block': true }, ['web'])).toEqual({
    guest: 'web',
    target: { destination: 'oldbox', directory: '/srv', sshConfigFile: null },
    everyBlock: true,
    forceHalt: false,
    haltTimeoutMs: 60_000,
    bootTimeoutMs: 60_000,
  });
  expect(readPlainMove({ ...typed, via: undefined }, ['web'])).toBeNull();
});

test('--via takes one guest, and no option that only a vmferry there could follow', () => {
  for (const guests of [null, ['db', 'web']])
    expect(() => readPlainMove(typed, guests)).toThrow('one guest at a time');
  for (const option of ['as', 'dry-run', 'limit-rate', 'retry-for'])
    expect(() => readPlainMove({ ...typed, [option]: 'x' }, ['web'])).toThrow(`--${option} has no effect`);
  expect(() => readPlainMove({ ...typed, probe: ['tcp:22'] }, ['web'])).toThrow('--probe has no effect');
});
