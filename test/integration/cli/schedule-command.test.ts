import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mergeConfig, type Config } from '../../../src/config/config.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import type { Context } from '../../../src/events.ts';
import { createUmlDriver } from '../../../src/guest/drivers/uml/driver.ts';
import { createRecordStore } from '../../../src/guest/record-store.ts';
import { scheduleBackups } from '../../../src/operations/schedule/schedule.ts';
import type { ScheduleRequest } from '../../../src/operations/schedule/plan.ts';
import { removeSchedule, type ScheduleWorld } from '../../../src/operations/schedule/units.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

let directory: string;
let image: string;
let world: ScheduleWorld;
let warnings: string[];
let context: Context;
const noConfig = mergeConfig([]);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-schedule-'));
  image = join(directory, 'web.img');
  writeFileSync(image, '');
  truncateSync(image, 2 ** 20);
  warnings = [];
  context = {
    signal: new AbortController().signal,
    report: (event) => void (event.type === 'warning' && warnings.push(event.message)),
  };
  world = {
    environment: {
      HOME: directory,
      VMFERRY_STATE_DIR: join(directory, 'state'),
      PATH: join(directory, 'bin'),
    },
    userId: 0,
    vmferry: ['/usr/bin/node', '/usr/bin/vmferry'],
    unitDirectory: join(directory, 'units'),
    isManagerRunning: false,
  };
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function schedule(changes: Partial<ScheduleRequest> = {}, config: Config = noConfig) {
  const request: ScheduleRequest = {
    guests: [image],
    store: 'backups@offsite:/srv',
    at: '03:00',
    keep: {},
    passphrase: { file: null, command: null, keyFile: null },
    sshConfigFile: null,
    reports: { pingUrl: null, metricsFile: null },
    whileRunning: 'clone',
    maxPauseMs: null,
    limitRate: null,
    backingDirectories: [],
    keepClones: true,
    name: 'web',
    guestName: null,
    isSystem: true,
    output: 'units',
    ...changes,
  };
  const records = createRecordStore(join(directory, 'state', 'guests'));
  return scheduleBackups(request, config, { drivers: [createUmlDriver({})], records }, world, context);
}

/** A systemctl that logs its arguments, and exits with the given status. */
function installSystemctl(exitStatus: number): () => string[] {
  const log = join(directory, 'asked');
  mkdirSync(join(directory, 'bin'), { recursive: true });
  const script = `#!/bin/sh\necho "$*" >>${log}\necho "No such manager" >&2\nexit ${exitStatus}\n`;
  writeFileSync(join(directory, 'bin', 'systemctl'), script, { mode: 0o755 });
  world = { ...world, isManagerRunning: true };
  return () => readFileSync(log, 'utf8').trimEnd().split('\n');
}

describe('a schedule', () => {
  test('is a service and a timer', async () => {
    const report = await schedule({
      keep: { daily: 7, withinMs: 86_400_000 },
      whileRunning: 'pause',
      maxPauseMs: 90_000,
      imageFormat: 'vpc',
      backingDirectories: ['/srv/base', '/srv/other base'],
      limitRate: { text: '08:00-18:00 2M, otherwise unlimited', rules: [], otherwise: null },
      keepClones: false,
    });
    expect(report).toMatchObject({
      unit: 'vmferry-backup-web',
      state: 'written',
      replaced: false,
      prunes: true,
    });
    const names = ['vmferry-backup-web.service', 'vmferry-backup-web.timer'];
    expect(readdirSync(world.unitDirectory)).toEqual(names);
    const [service = '', timer] = names.map((name) => readFileSync(join(world.unitDirectory, name), 'utf8'));
    const common = 'backups@offsite:/srv';
    expect(service.match(/^ExecStart=.*$/gm)).toEqual([
      `ExecStart=/usr/bin/node /usr/bin/vmferry backup ${image} --to ${common} --pause --max-pause 90 --limit-rate "08:00-18:00 2M, otherwise unlimited" --image-format vpc --backing-directory /srv/base --backing-directory "/srv/other base" --no-clone`,
      `ExecStart=/usr/bin/node /usr/bin/vmferry prune ${common} --guest web.img --keep-daily 7 --keep-within 1d`,
    ]);
    expect(service).toContain(`ReadWritePaths=-${directory}\n`);
    expect(service).toContain(`Environment=VMFERRY_STATE_DIR=${join(directory, 'state')}\n`);
    // Its image is in /tmp.
    expect(service).not.toContain('PrivateTmp=true');
    expect(timer).toContain('OnCalendar=*-*-* 03:00:00\n');
    expect(existsSync(join(directory, 'state'))).toBe(true);
  });

  test('is enabled if systemd runs', async () => {
    const asked = installSystemctl(0);
    expect(await schedule()).toMatchObject({ state: 'enabled' });
    await schedule({ isSystem: false });
    await removeSchedule('web', true, world, context);
    expect(asked()).toEqual([
      'daemon-reload',
      'enable --now vmferry-backup-web.timer',
      '--user daemon-reload',
      '--user enable --now vmferry-backup-web.timer',
      'disable --now vmferry-backup-web.timer',
      'daemon-reload',
    ]);
    expect(readdirSync(world.unitDirectory)).toEqual([]);
    expect(warnings).toEqual([]);
  });

  test('that systemd refuses is still written, with a warning', async () => {
    installSystemctl(1);
    expect(await schedule()).toMatchObject({ state: 'written' });
    expect(warnings).toEqual(['systemctl daemon-reload: No such manager.']);
  });

  test('replaces itself, but neither another schedule nor units of others', async () => {
    await schedule();
    expect(await schedule({ at: '04:00' })).toMatchObject({ replaced: true });
    await expect(schedule({ store: '/elsewhere' })).rejects.toMatchObject({ code: 'target-exists' });
    await schedule({ store: '/elsewhere', name: 'web-2' });
    const timer = join(world.unitDirectory, 'vmferry-backup-web.timer');
    writeFileSync(timer, '[Timer]\nOnCalendar=daily\n');
    await expect(schedule()).rejects.toMatchObject({ code: 'target-exists' });
    await expect(removeSchedule('web', true, world, context)).rejects.toMatchObject({
      code: 'target-exists',
    });
    expect(readFileSync(timer, 'utf8')).toBe('[Timer]\nOnCalendar=daily\n');
    await expect(removeSchedule('none', true, world, context)).rejects.toMatchObject({
      code: 'target-missing',
    });
    await expect(removeSchedule('../x', true, world, context)).rejects.toMatchObject({ code: 'usage' });
  });

  test('of an image does not replace that of another image with the same file name', async () => {
    await schedule();
    const other = join(directory, 'mail', 'web.img');
    mkdirSync(join(directory, 'mail'));
    writeFileSync(other, '');
    truncateSync(other, 2 ** 20);
    await expect(schedule({ guests: [other] })).rejects.toMatchObject({ code: 'target-exists' });
    await expect(schedule({ guests: [image, other], name: 'both' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('under the name web.img'),
      advice: expect.stringContaining('--guest-name'),
    });
    const named = { guests: [other], name: null, guestName: 'mail', keep: { last: 2 } };
    const { unit, files } = await schedule(named);
    expect(unit).toBe('vmferry-backup-mail');
    expect(files[0]?.text).toContain(' --name mail\n');
    expect(files[0]?.text).toContain(' --guest mail --keep-last 2\n');
    await expect(schedule({ ...named, guestName: '../x' })).rejects.toMatchObject({ code: 'usage' });
  });

  test('is only shown with --print and --cron', async () => {
    const printed = await schedule({ output: 'print' });
    expect(printed.files).toHaveLength(2);
    const cron = await schedule({ output: 'cron', at: 'Mon 03:00', keep: { last: 2 } });
    const before = `env VMFERRY_STATE_DIR=${join(directory, 'state')} nice -n 10 /usr/bin/node /usr/bin/vmferry`;
    expect(cron.cronLine).toBe(
      `0 3 * * 1 ${before} backup ${image} --to backups@offsite:/srv --quiet` +
        ` && ${before} prune backups@offsite:/srv --guest web.img --keep-last 2 --quiet`,
    );
    expect(existsSync(world.unitDirectory)).toBe(false);
  });

  test('reports the prune like the backup', async () => {
    const reports = { pingUrl: 'https://h/1', metricsFile: join(directory, 'vmferry.prom') };
    const { files } = await schedule({ reports, keep: { last: 2 }, output: 'print' });
    const told = `--ping-url https://h/1 --metrics ${directory}/vmferry.prom`;
    expect(files[0]?.text.match(/^ExecStart=.*$/gm)).toEqual([
      expect.stringMatching(new RegExp(` backup .* ${told}$`)),
      expect.stringMatching(new RegExp(` prune .* ${told}$`)),
    ]);
  });

  test('finds a store of the configuration by name, and prunes by the configuration’s rules', async () => {
    const path = join(directory, 'config.yaml');
    writeFileSync(
      path,
      `stores: { disk: { location: ${directory}/disk } }\ndefaults: { store: disk }\nkeep: { daily: 7 }\n`,
    );
    const config = await loadConfig({}, context, [join(directory, 'none.yaml'), path]);
    const { files, prunes } = await schedule({ store: null, output: 'print' }, config);
    expect(prunes).toBe(true);
    expect(files[0]?.text).toContain('prune @disk --guest web.img --keep-daily 7\n');
    expect(files[0]?.text).toContain(`ReadWritePaths=-${directory}/disk\n`);
  });

  test('is refused for an invalid time, an unknown guest, and an invalid name of the units', async () => {
    await expect(schedule({ at: '%n' })).rejects.toMatchObject({ code: 'usage' });
    await expect(schedule({ at: '*-*-01 03:00', output: 'cron' })).rejects.toMatchObject({ code: 'usage' });
    await expect(schedule({ guests: ['nobody'] })).rejects.toMatchObject({ code: 'guest-not-found' });
    await expect(schedule({ name: 'a b' })).rejects.toMatchObject({ code: 'usage' });
    expect(existsSync(world.unitDirectory)).toBe(false);
  });
});

describe('the file with the passphrase', () => {
  let file: string;
  beforeEach(() => {
    file = join(directory, 'passphrase');
  });

  const from = (path: string): Partial<ScheduleRequest> => ({
    passphrase: { file: path, command: null, keyFile: null },
  });
  const configured = (path: string): Config => {
    const stores = {
      disk: {
        location: '/disk',
        passphraseFile: path,
        passphraseCommand: null,
        sshConfig: null,
        limitRate: null,
      },
    };
    return { ...noConfig, stores };
  };

  test('must exist, and be private, before anything is written', async () => {
    const missing = { code: 'key-missing', message: `There is no file ${file}.` };
    await expect(schedule(from(file))).rejects.toMatchObject(missing);
    await expect(schedule({ store: '@disk' }, configured(file))).rejects.toMatchObject(missing);
    writeFileSync(file, 'correct horse battery\n');
    chmodSync(file, 0o604);
    await expect(schedule(from(file))).rejects.toMatchObject({ code: 'key-missing' });
    await expect(
      schedule({ passphrase: { file: null, command: null, keyFile: image } }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^key-/) });
    expect(existsSync(world.unitDirectory)).toBe(false);
    chmodSync(file, 0o600);
    await schedule(from(file));
    expect(warnings).toEqual([]);
  });

  test('from the environment wins over the configuration’s', async () => {
    world.environment['VMFERRY_PASSPHRASE_FILE'] = file;
    await expect(schedule()).rejects.toMatchObject({ code: 'key-missing' });
    writeFileSync(file, 'correct horse battery\n', { mode: 0o600 });
    await schedule({ store: '@disk' }, configured(join(directory, 'none')));
  });

  test('that is missing is only a warning with --print', async () => {
    await schedule({ ...from(file), output: 'print' });
    expect(warnings).toEqual([`There is no file ${file}.`]);
  });
});

describeWithTools('a calendar expression', ['systemd-analyze'], () => {
  test('is checked by systemd', async () => {
    await schedule({ at: '*-*-01 03:00', output: 'print' });
    await schedule({ at: 'quarterly', output: 'print' });
    await expect(schedule({ at: '24:00', output: 'print' })).rejects.toMatchObject({ code: 'usage' });
    await expect(schedule({ at: 'sometimes', output: 'print' })).rejects.toMatchObject({ code: 'usage' });
    expect(warnings).toEqual([]);
  });
});

describe('a configuration file', () => {
  test('may be missing; one that others can write to is refused', async () => {
    expect(await loadConfig({}, context, [join(directory, 'no', 'c.yaml')])).toEqual(noConfig);
    const path = join(directory, 'c.yaml');
    writeFileSync(path, 'keep: { daily: 7 }');
    expect((await loadConfig({}, context, [path])).keep).toEqual({ daily: 7 });
    chmodSync(path, 0o666);
    await expect(loadConfig({}, context, [path])).rejects.toMatchObject({ code: 'not-permitted' });
    await expect(loadConfig({}, context, [directory])).rejects.toMatchObject({ code: 'not-permitted' });
  });
});
