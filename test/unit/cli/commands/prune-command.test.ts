import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { askForName, forgetCommand } from '../../../../src/cli/commands/forget.ts';
import { pruneCommand, rulesOf } from '../../../../src/cli/commands/prune.ts';
import { pruneText } from '../../../../src/cli/texts/prune-text.ts';
import { protectCommand, unprotectCommand } from '../../../../src/cli/commands/protect.ts';
import { parseCommandLine } from '../../../../src/cli/options/parse.ts';
import { newGuestPrune } from '../../../../src/operations/prune/prune-report.ts';
import { codeOf } from '../../../support/failures.ts';

const { signal } = new AbortController();

function parse(...argv: string[]) {
  const commands = [pruneCommand, protectCommand, unprotectCommand, forgetCommand];
  return parseCommandLine(argv, commands, { version: '0.0.0', columns: 80 });
}

describe('the command lines', () => {
  test.each([
    [['prune', '/srv', '--keep-last', '3']],
    [
      [
        'prune',
        '/srv',
        '--keep-within',
        '30d',
        '--grace',
        '0',
        '--max-waste',
        '0',
        '--dry-run',
        '--guest',
        'web',
      ],
    ],
    [['protect', '/srv', 'web@latest']],
    [['unprotect', '/srv', 'web@2026-11-22']],
    [['forget', '/srv', 'web', '--yes-forget', 'web']],
    [['forget', '/srv', 'web@20261122T030000Z-1f3a9c2e']],
  ])('%j', async (argv) => {
    expect((await parse(...argv)).kind).toBe('command');
  });

  test.each([
    [['prune', '/srv', '--keep-last', '3', '--grace', 'soon']],
    [['prune', '/srv', '--keep-last', '3', '--max-waste', '101']],
    [['protect', '/srv']],
    [['forget', '/srv']],
  ])('%j is refused', async (argv) => {
    expect(await codeOf(() => parse(...argv))).toBe('usage');
  });
});

describe('the rules of a prune', () => {
  test('are the given ones', () => {
    expect(rulesOf({ last: 1 }, { daily: 7 })).toEqual({ last: 1 });
  });

  test('come from the configuration if none are given', () => {
    expect(rulesOf({}, { daily: 7 })).toEqual({ daily: 7 });
  });

  test('are required: without any, nothing is removed', async () => {
    expect(await codeOf(() => rulesOf({}, null))).toBe('usage');
  });

  test('are checked before the store is opened', async () => {
    const parsed = await parse('prune', '/srv/backups');
    if (parsed.kind !== 'command') throw new Error(parsed.text);
    const environment = {
      dependencies: {
        environment: { HOME: '/nowhere', XDG_CONFIG_HOME: '/nowhere' },
        openStoreAt: () => Promise.reject(new Error('it was opened')),
      },
      context: { signal, report: () => undefined },
      stdin: new PassThrough(),
    };
    expect(await codeOf(() => parsed.run(environment as never))).toBe('usage');
  });
});

describe('pruneText', () => {
  const guest = {
    ...newGuestPrune('web'),
    kept: [
      {
        id: '20261122T030000Z-1f3a9c2e',
        reasons: [{ rule: 'newest' }, { rule: 'daily', period: '2026-11-22' }] as const,
      },
    ],
    removed: ['20261101T030000Z-1f3a9c2e'],
    trashedBytes: 2048,
    freedBytes: 1024,
  };

  test('a dry run shows what is kept and why, and what would be freed', () => {
    const text = pruneText({ type: 'pruned', store: '/srv', dryRun: true, guests: [guest] }, 'Europe/Berlin');
    expect(text).toContain('web: 1 snapshot would be kept, 1 snapshot would be removed\n');
    expect(text).toContain('would keep    20261122T030000Z-1f3a9c2e  the newest, daily: 2026-11-22');
    expect(text).toContain('would remove  20261101T030000Z-1f3a9c2e');
    expect(text).not.toMatch(/snapshot removed|^ *removed/m);
    expect(text).toContain(
      'would free 3.00 KiB: 1.00 KiB from the trash now, 2.00 KiB later, after moving it to the trash',
    );
    expect(text).toContain('Days are in the time zone Europe/Berlin. Nothing was changed.');
  });

  test('a prune lists what it removed, even if the rest failed', () => {
    const failure = { code: 'store-damaged', message: 'A page is lost.' } as const;
    const report = { type: 'pruned', store: '/srv', dryRun: false } as const;
    expect(pruneText({ ...report, guests: [guest] }, 'UTC')).toBe(
      [
        'web: 1 snapshot kept, 1 snapshot removed',
        '  removed 20261101T030000Z-1f3a9c2e',
        '  freed: 1.00 KiB',
        '  moved to the trash: 2.00 KiB; a later prune deletes this and frees the space',
      ].join('\n'),
    );
    const fresh = { ...guest, trashedBytes: 0, freedBytes: 0 };
    expect(pruneText({ ...report, guests: [fresh] }, 'UTC')).toMatch(/Nothing freed yet.*grace period/);
    const failed = pruneText({ ...report, guests: [{ ...guest, failure }] }, 'UTC');
    expect(failed).toMatch(/removed 20261101T030000Z-1f3a9c2e\n {2}A page is lost\.$/);
    expect(pruneText({ ...report, guests: [] }, 'UTC')).toContain('no guests');
  });
});

describe('askForName', () => {
  function terminal(typed: string) {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    stdin.end(typed);
    return { stdin, stderr: new PassThrough() };
  }

  test('returns what is typed, and nothing at the end of input', async () => {
    expect(await askForName('web', 'two snapshots of web', terminal('web\n'), signal)).toBe('web');
    expect(await askForName('web', 'two snapshots of web', terminal(''), signal)).toBe('');
  });

  test('refuses without a terminal', async () => {
    const stdin = new PassThrough();
    expect(
      await codeOf(() =>
        askForName('web', 'two snapshots of web', { stdin, stderr: new PassThrough() }, signal),
      ),
    ).toBe('usage');
  });

  test('ends at an interruption', async () => {
    const stdin = Object.assign(new PassThrough(), { isTTY: true });
    const reason = new Error('Ctrl-C');
    await expect(
      askForName(
        'web',
        'two snapshots of web',
        { stdin, stderr: new PassThrough() },
        AbortSignal.abort(reason),
      ),
    ).rejects.toBe(reason);
  });
});
