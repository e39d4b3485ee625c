import { describe, expect, test } from '@jest/globals';
import { scheduleCommand, scheduleReportText } from '../../../src/cli/commands/schedule.ts';
import { keepOptions, readKeepOptions } from '../../../src/cli/options/keep-options.ts';
import type { Command } from '../../../src/cli/options/command.ts';
import { parseCommandLine } from '../../../src/cli/options/parse.ts';
import {
  readRunReportOptions,
  runReportOptions,
  withConfiguredReports,
} from '../../../src/cli/options/run-report-options.ts';

const command: Command<unknown> = {
  usage: 'try',
  summary: 'Reads the options',
  define: (parser) => parser.options(keepOptions).options(runReportOptions),
  read: (args) => () =>
    Promise.resolve({
      record: { type: 'try', keep: readKeepOptions(args), reports: readRunReportOptions(args) },
      text: '',
    }),
};

async function read(words: readonly string[]): Promise<{ keep: unknown; reports: unknown }> {
  const parsed = await parseCommandLine(words, [command], { version: '1', columns: 80 });
  if (parsed.kind !== 'command') throw new Error(parsed.text);
  const { record } = await parsed.run(undefined as never);
  return record as unknown as { keep: unknown; reports: unknown };
}

function parseSchedule(...words: string[]) {
  return parseCommandLine(['schedule', ...words], [scheduleCommand], { version: '1', columns: 80 });
}

describe('the keep options', () => {
  test('are parsed', async () => {
    const { keep } = await read(['try', '--keep-last', '3', '--keep-weekly', '4', '--keep-within', '30d']);
    expect(keep).toEqual({ last: 3, weekly: 4, withinMs: 30 * 86_400_000 });
    expect((await read(['try'])).keep).toEqual({});
  });

  test.each(['--keep-last=0', '--keep-daily=x', '--keep-yearly=1.5', '--keep-within=3', '--keep-within='])(
    'is not %s',
    async (word) => {
      await expect(read(['try', word])).rejects.toMatchObject({ code: 'usage' });
    },
  );
});

describe('reports of a run', () => {
  test('come from the options, else from the configuration', async () => {
    const { reports } = await read(['try', '--ping-url', 'https://h/1', '--metrics', '/m/v.prom']);
    expect(reports).toEqual({ pingUrl: 'https://h/1', metricsFile: '/m/v.prom' });
    const config = { pingUrl: 'https://c/', metricsFile: '/c.prom' };
    expect(withConfiguredReports({ pingUrl: 'https://h/', metricsFile: null }, config)).toEqual({
      pingUrl: 'https://h/',
      metricsFile: '/c.prom',
    });
  });

  test.each(['--ping-url=ftp://me:secret@h/', '--ping-url=secret', '--metrics=/m/secret.txt'])(
    'refuse %s, and the message does not show it',
    async (word) => {
      const failure = await read(['try', word]).catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: 'usage', message: expect.not.stringContaining('secret') });
    },
  );
});

describe('vmferry schedule', () => {
  test.each([
    [['web', '--to', '/b'], /at is missing/],
    [['--to', '/b', '--at', '03:00'], /No guest was given/],
    [['web', '--at', '03:00', '--halt', '--pause'], /mutually exclusive/],
    [['web', '--at', '03:00', '--user', '--system'], /mutually exclusive/],
    [['web', '--at', '03:00', '--limit-rate', '20Q'], /"20Q" is not a number of bytes per second/],
    [['/i', '--at', '03:00', '--image-format', 'vhd'], /takes one of raw, qcow2.*vpc/],
    [['web', '--at', '03:00', '--max-pause', '9'], /needs --pause or --halt/],
    [['web', '--at', '03:00', '--halt', '--max-pause', '0'], /--max-pause takes/],
    [['web', '--at', '03:00', '--ping-url', 'https://me:secret@h/'], /everybody can read/],
    [['--remove'], /name its guest/],
  ])('refuses %j', async (words, message) => {
    await expect(parseSchedule(...words)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(message),
    });
  });

  test('refuses an invalid store before it looks at anything', async () => {
    const parsed = await parseSchedule('web', '--to', 'ftp://box/backups', '--at', '03:00');
    if (parsed.kind !== 'command') throw new Error(parsed.text);
    const context = { signal: new AbortController().signal, report: () => undefined };
    await expect(parsed.run({ context } as never)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('"ftp://box/backups" cannot be a store'),
    });
  });

  test('accepts several guests, and a removal by name alone', async () => {
    expect((await parseSchedule('web', 'mail', '--at', 'Mon 03:00', '--keep-daily', '7')).kind).toBe(
      'command',
    );
    expect((await parseSchedule('--remove', '--name', 'web')).kind).toBe('command');
  });

  test('shows what it wrote and what to type next', () => {
    const report = {
      type: 'schedule',
      unit: 'vmferry-backup-web',
      files: [{ path: '/etc/systemd/system/vmferry-backup-web.service', text: '[Unit]\n' }],
      cronLine: null,
      state: 'written',
      isSystem: true,
      replaced: false,
      prunes: true,
    } as const;
    const text = scheduleReportText(report);
    expect(text).toContain('# /etc/systemd/system/vmferry-backup-web.service\n[Unit]\n');
    expect(text).toContain('systemctl daemon-reload && systemctl enable --now vmferry-backup-web.timer');
    expect(text).not.toContain('enable-linger');
    expect(scheduleReportText({ ...report, isSystem: false })).toContain('loginctl enable-linger');
    expect(scheduleReportText({ ...report, state: 'enabled', prunes: false })).toMatch(
      /The timer is on.*Old snapshots are never removed/s,
    );
    expect(scheduleReportText({ ...report, state: 'printed' })).toBe(
      '# /etc/systemd/system/vmferry-backup-web.service\n[Unit]',
    );
    expect(scheduleReportText({ ...report, state: 'printed', files: [], cronLine: '0 3 * * * x' })).toBe(
      '0 3 * * * x',
    );
  });
});
