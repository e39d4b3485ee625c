import { describe, expect, test } from '@jest/globals';
import yargs from 'yargs';
import { defineMigrateOptions } from '../../../../src/cli/options/migrate/migrate-options.ts';
import { readMigrateRequest } from '../../../../src/cli/options/migrate/migrate-request.ts';
import {
  argumentsToResume,
  optionsToNote,
  readResumed,
  wholeCommand,
} from '../../../../src/cli/options/migrate/resume-options.ts';
import type { Arguments } from '../../../../src/cli/options/options.ts';
import type { MoveOptions } from '../../../../src/operations/migrate/migration-report.ts';

const parse = (...words: string[]): Arguments => defineMigrateOptions(yargs(words)).parseSync();

/** As in a file, and back. */
const stored = (options: MoveOptions): MoveOptions => JSON.parse(JSON.stringify(options)) as MoveOptions;

describe('the options of a move', () => {
  test.each([
    ['--to newhost'],
    ['--to root@[::1]:/srv --cold --every-block --compression 19 --downtime-goal 3'],
    ['--to newhost --as xen --kernel /boot/k --network eth0=br0 --disk=root=/dev/vg0/web --overwrite'],
    ['--to newhost --probe none --retry-for 0 --limit-rate 20M --keep-open -F my_ssh --halt-timeout 5'],
    ['--to newhost --hold'],
  ])('%s: the move that is resumed is the same', (line) => {
    const typed = parse(...line.split(' '));
    const request = readMigrateRequest({ ...typed, guest: 'web' });
    const again = argumentsToResume(parse('--resume'), stored(optionsToNote(typed)));
    expect(readMigrateRequest({ ...again, guest: 'web' })).toEqual(request);
  });

  test('are noted without defaults, and without what says how the command is used', () => {
    expect(optionsToNote(parse('--to', 'newhost', '--dry-run', '--compression', 'auto'))).toEqual({
      to: 'newhost',
    });
  });

  test('are shown as a command', () => {
    const typed = parse(
      '--to',
      'newhost:/srv',
      '--cold',
      '--remote-command',
      'sudo vmferry',
      '--halt-timeout',
      '5',
    );
    expect(wholeCommand('web', typed)).toBe(
      "vmferry migrate web --to newhost:/srv --cold --halt-timeout 5 --remote-command 'sudo vmferry'",
    );
  });
});

describe('--resume', () => {
  test('takes a new time of the halt instead of the noted one, and leave to overwrite', () => {
    const noted = { to: 'newhost', cutover: '2026-01-01T03:00' };
    const again = argumentsToResume(parse('--resume', '--hold', '--overwrite'), noted);
    const request = readMigrateRequest({ ...again, guest: 'web' });
    expect(request).toMatchObject({
      hold: { untilMs: null },
      overwrite: true,
      target: { destination: 'newhost' },
    });
  });

  test.each([
    ['that is still to come', '2026-12-23T12:00', '2026-12-24T03:00'],
    ['that passed a while ago: in a minute', '2026-12-24T03:20', '2026-12-24T03:21'],
    ['that passed long ago: on the next day', '2026-12-24T09:00', '2026-12-25T03:00'],
  ])('takes a noted time %s', (_when, now, expected) => {
    const noted = optionsToNote(parse('--to', 'newhost', '--cutover', '03:00'), new Date('2026-12-23T11:00'));
    expect(noted).toEqual({
      to: 'newhost',
      cutover: new Date('2026-12-24T03:00').toISOString().replace('.000', ''),
    });
    const { cutover } = argumentsToResume(parse('--resume'), noted, new Date(now));
    expect(new Date(String(cutover))).toEqual(new Date(expected));
  });

  test('takes one guest', () => {
    const args = parse('--resume', '--overwrite', '--dry-run');
    expect(readResumed(args, ['web'])).toBe('web');
    for (const guests of [null, ['db', 'web']]) expect(() => readResumed(args, guests)).toThrow('one guest');
  });

  test.each([
    ['--to newhost', 'to'],
    ['--via bzip2', 'via'],
    ['--compression 3', 'compression'],
    ['--probe none', 'probe'],
    ['--keep-going true', 'keep-going'],
  ])('refuses %s', (line, name) => {
    expect(() => readResumed(parse('--resume', ...line.split(' ')), ['web'])).toThrow(
      `--${name} cannot be changed with --resume`,
    );
  });
});
