import { describe, expect, test } from '@jest/globals';
import type { Command } from '../../../../src/cli/options/command.ts';
import {
  defineMigrateOptions,
  repeatableMigrateOptions,
} from '../../../../src/cli/options/migrate/migrate-options.ts';
import { readMigrateRequest } from '../../../../src/cli/options/migrate/migrate-request.ts';
import type { Arguments } from '../../../../src/cli/options/options.ts';
import { parseCommandLine } from '../../../../src/cli/options/parse.ts';
import type { MigrateRequest } from '../../../../src/operations/migrate/migration-report.ts';

/** The options of migrate with nothing behind them. */
const requests: MigrateRequest[] = [];
/** The guests of a command that takes several. */
const gathered: unknown[] = [];
const commands: readonly Command<unknown>[] = [
  {
    usage: 'migrate <guest>',
    summary: 'Move a guest',
    repeatable: repeatableMigrateOptions,
    define: defineMigrateOptions,
    read: (args: Arguments) => {
      requests.push(readMigrateRequest(args));
      return () => Promise.reject(new Error('parsing runs nothing'));
    },
  },
  {
    usage: 'receive',
    summary: 'Internal',
    internal: true,
    define: (parser) => parser,
    read: () => () => Promise.reject(new Error('parsing runs nothing')),
  },
  {
    usage: 'gather <guests..>',
    summary: 'Takes several',
    define: (parser) => parser.positional('guests', { type: 'string', array: true }),
    read: ({ guests }) => {
      gathered.push(guests);
      return () => Promise.reject(new Error('parsing runs nothing'));
    },
  },
];

function parse(...argv: string[]) {
  return parseCommandLine(argv, commands, { version: '1.2.3', columns: 100 });
}

async function requestOf(...argv: string[]): Promise<MigrateRequest | undefined> {
  requests.length = 0;
  expect(await parse('migrate', ...argv)).toMatchObject({ kind: 'command' });
  return requests[0];
}

describe('migrate', () => {
  test('has defaults for everything except the guest and the host', async () => {
    expect(await requestOf('web', '--to', 'newhost')).toEqual({
      guest: 'web',
      scratch: null,
      oldHostIsGone: false,
      target: { destination: 'newhost', directory: null, sshConfigFile: null },
      disks: [],
      overwrite: false,
      remoteCommand: 'vmferry',
      conversion: { as: null, kernel: null, initrd: null, networks: [], fixups: true },
      compression: 'auto',
      everyBlock: false,
      limitRate: null,
      retrying: { retryForMs: null, maxDowntimeMs: null },
      cold: false,
      hold: null,
      downtimeGoalMs: 10_000,
      forceHalt: false,
      haltTimeoutMs: 60_000,
      bootTimeoutMs: 60_000,
      probing: { chosen: null, address: null, limitMs: 120_000, keepOpen: false },
      dryRun: false,
      options: { to: 'newhost' },
    });
  });

  test('takes --kernel guest for the kernel on the guest’s own disk', async () => {
    expect(await requestOf('web', '--to', 'newhost', '--kernel', 'guest')).toMatchObject({
      conversion: { kernel: 'guest', initrd: null },
    });
  });

  test('accepts every option', async () => {
    const options =
      '--as qemu --kernel /boot/k --initrd /boot/i --network eth0=br0 --network=eth1=user --no-fixups --dry-run --disk root=/dev/vg0/web --disk=a=b.img=/srv/a=b.img --overwrite --compression 19 --every-block --cold --downtime-goal 3 --limit-rate 20M --retry-for 0 --max-downtime 5m --force-halt --halt-timeout 5 --boot-timeout=600 --probe tcp:22 --probe=http://[::1]/ --probe-for 90s --address 10.0.0.7 --keep-open -F /etc/my_ssh';
    expect(
      await requestOf(
        '007',
        '--to=root@[::1]:/srv',
        ...options.split(' '),
        '--remote-command',
        'sudo vmferry',
      ),
    ).toEqual({
      guest: '007',
      scratch: null,
      oldHostIsGone: false,
      target: { destination: 'root@::1', directory: '/srv', sshConfigFile: '/etc/my_ssh' },
      disks: [
        { name: 'root', path: '/dev/vg0/web' },
        { name: 'a=b.img', path: '/srv/a=b.img' },
      ],
      overwrite: true,
      remoteCommand: 'sudo vmferry',
      conversion: {
        as: 'qemu',
        kernel: '/boot/k',
        initrd: '/boot/i',
        networks: [
          { card: 'eth0', attachedTo: 'br0' },
          { card: 'eth1', attachedTo: 'user' },
        ],
        fixups: false,
      },
      compression: 19,
      everyBlock: true,
      cold: true,
      hold: null,
      downtimeGoalMs: 3_000,
      limitRate: { text: '20M', rules: [], otherwise: 20 * 2 ** 20 },
      retrying: { retryForMs: 0, maxDowntimeMs: 300_000 },
      forceHalt: true,
      haltTimeoutMs: 5000,
      bootTimeoutMs: 600_000,
      probing: {
        chosen: [
          { kind: 'tcp', host: null, port: 22 },
          { kind: 'http', url: 'http://[::1]/' },
        ],
        address: '10.0.0.7',
        limitMs: 90_000,
        keepOpen: true,
      },
      dryRun: true,
      options: expect.objectContaining({
        to: 'root@[::1]:/srv',
        disk: ['root=/dev/vg0/web', 'a=b.img=/srv/a=b.img'],
        'halt-timeout': 5,
        'remote-command': 'sudo vmferry',
        'ssh-config': '/etc/my_ssh',
      }),
    });
  });

  test('uses the last value of an option given twice', async () => {
    expect(await requestOf('web', '--to', 'a', '--to', 'b')).toMatchObject({ target: { destination: 'b' } });
  });

  test('resolves the path of the ssh configuration from the current directory', async () => {
    expect(await requestOf('web', '--to', 'a', '--ssh-config', 'my_ssh')).toMatchObject({
      target: { sshConfigFile: `${process.cwd()}/my_ssh` },
    });
  });
});

test('keeps all of several guests, even one that looks like a number', async () => {
  await parse('gather', 'web', '--json', '007', 'mail', '--json');
  // Anywhere among them, - is standard input.
  await parse('gather', '-', 'web', '--json', '-');
  expect(gathered).toEqual([
    ['web', '007', 'mail'],
    ['-', 'web', '-'],
  ]);
});

describe('refuses, as usage', () => {
  test.each([
    ['', 'A command is missing'],
    ['migrat web', 'no command "migrat". Did you mean migrate?'],
    ['frobnicate', 'no command "frobnicate"'],
    ['migrate', 'The argument guest is missing.'],
    ['migrate web', 'Missing required argument: to'],
    ['migrate web --to', 'Not enough arguments following: to'],
    ['migrate web --to newhost:srv', 'absolute path'],
    ['migrate web db --to newhost', 'Unknown argument: db'],
    ['migrate web --to newhost --frob', 'Unknown argument: frob'],
    ['migrate web --to newhost --no-dry-run', 'Unknown argument: no-dry-run.'],
    ['migrate --too newhost', 'The argument guest is missing.'],
    ['migrate web --to newhost --compression 0', '--compression takes ‘auto’ or a whole number from 1 to 19'],
    ['migrate web --to newhost --compression 3.5', '--compression takes'],
    ['migrate web --to newhost --compression fast', '--compression takes'],
    ['migrate web --to newhost --compression', 'Not enough arguments following: compression'],
    ['migrate web --to newhost --halt-timeout 0', '--halt-timeout takes'],
    ['migrate web --to newhost --halt-timeout 1e9', '--halt-timeout takes'],
    ['migrate web --to newhost --boot-timeout -1', '--boot-timeout takes'],
    ['migrate web --to newhost --as vmware', 'as'],
    ['migrate web --to newhost --kernel vmlinuz', 'absolute path'],
    ['migrate web --to newhost --initrd guest', 'absolute path'],
    ['migrate web --to newhost --network br0', 'CARD=BRIDGE'],
    ['migrate web --to newhost --disk /dev/sdb1', 'it is not NAME=PATH'],
    ['migrate web --to newhost --disk root=sdb1', 'it is not NAME=PATH'],
    ['migrate web --to newhost --disk root=/srv/', 'names no file'],
    ['migrate web --to newhost --disk root=/srv/.a', 'begins with a dot'],
    ['migrate web --to newhost --disk=', 'disk is empty'],
    ['migrate web --to newhost --remote-command=', 'remote-command is empty'],
  ])('%j: %s', async (line, message) => {
    await expect(parse(...line.split(' ').filter((word) => word !== ''))).rejects.toMatchObject({
      code: 'usage',
      exitStatus: 2,
      message: expect.stringContaining(message),
      advice: expect.any(String),
    });
  });
});

describe('the help', () => {
  test('lists the commands, except internal ones', async () => {
    const help = await parse('--help');
    expect(help).toMatchObject({ kind: 'text', text: expect.stringContaining('vmferry migrate <guest>') });
    expect(help).not.toMatchObject({ text: expect.stringContaining('receive') });
  });

  test('of a command has examples, and runs nothing', async () => {
    requests.length = 0;
    const help = await parse('migrate', '--help');
    expect(help).toMatchObject({
      kind: 'text',
      text: expect.stringContaining('vmferry migrate web --to newhost'),
    });
    expect(requests).toEqual([]);
  });

  test('fits the terminal’s width', async () => {
    const help = await parseCommandLine(['migrate', '--help'], commands, { version: '1.2.3', columns: 60 });
    if (help.kind !== 'text') throw new Error('no text');
    // All except the examples, which are never broken.
    for (const line of help.text.split('\n').filter((one) => !one.startsWith('  vmferry ')))
      expect(line.length).toBeLessThanOrEqual(60);
  });

  test('the version is one line', async () => {
    expect(await parse('--version')).toEqual({ kind: 'text', text: '1.2.3' });
  });
});
