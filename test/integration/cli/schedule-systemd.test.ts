import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { backupCommands } from '../../../src/schedule/backup-commands.ts';
import { serviceText, timerText, type ScheduledRun } from '../../../src/schedule/systemd-units.ts';
import { run } from '../../../src/system/processes.ts';
import { programFile } from '../../support/programs/command-line.ts';
import { runService, systemd } from '../../support/programs/systemd-manager.ts';
import { describeUnless, describeWithTools, toolsMissing } from '../../support/programs/tools.ts';

let directory: string;

beforeEach(() => {
  // Not below /tmp, which PrivateTmp= hides.
  directory = mkdtempSync('/var/lib/vmferry-systemd-');
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function scheduledRun(changes: Partial<ScheduledRun>): ScheduledRun {
  return {
    unit: 'vmferry-backup-web',
    guests: ['web'],
    sources: ['web'],
    store: '/backups',
    onCalendar: 'Mon *-*-* 03:00:00',
    spreadSeconds: 900,
    commands: [['/bin/true']],
    environment: {},
    isSystem: true,
    isRemote: true,
    startsGuests: false,
    writablePaths: [],
    needsTmp: false,
    ...changes,
  };
}

function writeUnits(changes: Partial<ScheduledRun>): string {
  const scheduled = scheduledRun(changes);
  writeFileSync(join(directory, 'vmferry-backup-web.service'), serviceText(scheduled) ?? '');
  writeFileSync(join(directory, 'vmferry-backup-web.timer'), timerText(scheduled));
  return 'vmferry-backup-web.service';
}

describeWithTools('systemd-analyze verify', ['systemd-analyze'], () => {
  test.each([
    ['confined', {}],
    ['a parent', { startsGuests: true }],
    ['an account’s', { isSystem: false }],
    [
      'with special characters',
      { writablePaths: ['/srv/a "b\' \\ % $ é'], environment: { A: '% $ "' }, guests: ['a %n'] },
    ],
  ])('finds nothing wrong: %s', async (_, changes) => {
    writeUnits(changes);
    const files = ['service', 'timer'].map((kind) => join(directory, `vmferry-backup-web.${kind}`));
    // Other units that are named need not exist on this machine.
    const env = { ...process.env, SYSTEMD_UNIT_PATH: `${directory}:` };
    const { stdout, stderr, exitStatus } = await run('systemd-analyze', ['verify', ...files], { env });
    expect({
      said: (stdout + stderr).split('\n').filter((line) => line.includes('vmferry')),
      exitStatus,
    }).toEqual({
      said: [],
      exitStatus: 0,
    });
  });
});

const missing =
  toolsMissing('unshare', 'setpriv', 'ssh') ??
  (existsSync(systemd) ? null : 'systemd is not installed') ??
  (process.getuid?.() === 0 ? null : 'only root can start another systemd');

describeUnless(missing, 'a real systemd', () => {
  test('passes the given arguments and variables to each command', async () => {
    const signs = fc.constantFrom(
      '%',
      '$',
      '{',
      '}',
      '"',
      "'",
      '\\',
      ' ',
      '\n',
      '\t',
      ';',
      '-',
      'é',
      'x',
      'n',
      '0',
      '🙂',
      '\u007f',
    );
    const words = fc.sample(fc.oneof(fc.string({ unit: signs }), fc.string({ unit: 'grapheme' })), 150);
    const given = [...words, ';', '', '$HOME', '${HOME}', '$$', '%%', '%n', String.raw`\x41`].filter(
      (word) => !/[\p{Cs}\0]/u.test(word),
    );
    // systemd must not interpret the program's path either.
    const program = join(directory, 'node $A ${A} %n ; é');
    const output = join(directory, 'output');
    const script =
      'require("fs").writeFileSync(process.argv[1], JSON.stringify([process.argv.slice(2), process.env.A]))';
    writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} "$@"\n`, { mode: 0o755 });
    const value = words.filter((word) => !/[\p{Cs}\0]/u.test(word)).join('');
    const status = await runService(
      directory,
      writeUnits({
        commands: [[program, '-e', script, '--', output, ...given]],
        environment: { A: value },
        writablePaths: [directory],
      }),
    );
    expect(status).toBe(0);
    expect(JSON.parse(readFileSync(output, 'utf8'))).toEqual([given, value]);
  }, 60_000);

  test('runs no prune after a failed backup', async () => {
    const [first, second, third] = ['first', 'second', 'third'].map((name) => join(directory, name));
    const unit = writeUnits({
      commands: [['/usr/bin/touch', first ?? ''], ['/bin/false'], ['/usr/bin/touch', second ?? '']],
      writablePaths: [directory],
    });
    expect(await runService(directory, unit)).toBe(1);
    expect([existsSync(first ?? ''), existsSync(second ?? '')]).toEqual([true, false]);
    writeUnits({ commands: [['/bin/true'], ['/usr/bin/touch', third ?? '']], writablePaths: [directory] });
    expect(await runService(directory, unit)).toBe(0);
    expect(existsSync(third ?? '')).toBe(true);
  }, 60_000);

  test('gives a backup the permissions that it needs, and no others', async () => {
    const open = join(directory, 'a "b\' \\ % $ é');
    const image = join(directory, 'image');
    mkdirSync(open, { mode: 0o700 });
    writeFileSync(image, 'image', { mode: 0o600 });
    for (const path of [open, image]) chownSync(path, 65_534, 65_534);
    chmodSync(directory, 0o755);
    const output = join(open, 'output');
    const inTmp = join(mkdtempSync(join(tmpdir(), 'vmferry-systemd-')), 'file');
    writeFileSync(inTmp, '');
    try {
      const script = join(directory, 'probe.mjs');
      writeFileSync(script, probe);
      const status = await runService(
        directory,
        writeUnits({
          commands: [[process.execPath, script, image, output, join(directory, 'new'), inTmp]],
          writablePaths: [open],
        }),
      );
      expect(status).toBe(0);
      expect(JSON.parse(readFileSync(output, 'utf8'))).toEqual({
        readsImagesOfOthers: 'yes',
        readsProcOfOthers: 'yes',
        stopsOthers: 'yes',
        writesBesideOthers: 'yes',
        runsSsh: 'yes',
        writesElsewhere: 'EROFS',
        writesToHome: 'EROFS',
        changesOwners: 'EPERM',
        seesTmp: 'no',
        niceness: 10,
      });
    } finally {
      rmSync(dirname(inTmp), { recursive: true });
    }
  }, 60_000);

  test('backs up and prunes with only the unit’s permissions', async () => {
    const [guests = '', store = '', state = ''] = ['guests', 'store', 'state'].map((name) =>
      join(directory, name),
    );
    for (const path of [guests, store, state]) mkdirSync(path);
    const image = join(guests, 'web.img');
    writeFileSync(image, randomBytes(1 << 20), { mode: 0o600 });
    chownSync(image, 65_534, 65_534);
    const metrics = join(state, 'vmferry.prom');
    const vmferry = [process.execPath, programFile];
    const made = await run(process.execPath, [programFile, 'init', store, '--no-encrypt'], {
      env: { ...process.env, VMFERRY_STATE_DIR: state },
    });
    expect(made).toMatchObject({ exitStatus: 0 });
    const commands = backupCommands({
      vmferry,
      guests: [image],
      guestNames: ['web.img'],
      store,
      backupOptions: ['--metrics', metrics],
      commonOptions: [],
      keepOptions: ['--keep-last', '1'],
    });
    const unit = writeUnits({
      commands,
      environment: { VMFERRY_STATE_DIR: state },
      writablePaths: [guests, store, state],
      needsTmp: programFile.startsWith('/tmp/'),
    });
    expect(await runService(directory, unit)).toBe(0);
    expect(await runService(directory, unit)).toBe(0);
    expect(readdirSync(join(store, 'guests', 'web.img', 'snapshots'))).toHaveLength(1);
    expect(readFileSync(metrics, 'utf8')).toMatch(/^vmferry_exit_status\{operation="backup".*\} 0$/m);
  }, 120_000);
});

/** Each answer is `yes`, or the code of the error. */
const probe = `
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
const [image, output, elsewhere, inTmp] = process.argv.slice(2);
const attempt = (work) => {
  try {
    work();
    return 'yes';
  } catch (error) {
    return error.code ?? error.message;
  }
};
const pid = Number(readdirSync('/proc').find((name) => /^\\d+$/.test(name) && statSync('/proc/' + name).uid === 65534));
const answers = {
  readsImagesOfOthers: attempt(() => readFileSync(image)),
  readsProcOfOthers: attempt(() => [readlinkSync('/proc/' + pid + '/fd/1'), readlinkSync('/proc/' + pid + '/exe')]),
  stopsOthers: attempt(() => [process.kill(pid, 'SIGSTOP'), process.kill(pid, 'SIGCONT')]),
  writesBesideOthers: attempt(() => writeFileSync(output, '')),
  runsSsh: spawnSync('ssh', ['-V']).status === 0 ? 'yes' : 'no',
  writesElsewhere: attempt(() => writeFileSync(elsewhere, '')),
  writesToHome: attempt(() => writeFileSync('/root/vmferry-systemd', '')),
  changesOwners: attempt(() => chownSync(output, 1, 1)),
  seesTmp: existsSync(inTmp) ? 'yes' : 'no',
  niceness: getPriority(),
};
writeFileSync(output, JSON.stringify(answers));
`;
