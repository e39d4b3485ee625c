import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import type { GuestDriver } from '../../../../src/guest/guest-driver.ts';
import { createRecordStore, type RecordStore } from '../../../../src/guest/record-store.ts';
import { setAutostart, type AutostartRequest } from '../../../../src/operations/autostart/autostart.ts';
import { startedByUnit } from '../../../../src/operations/autostart/guest-units.ts';
import { haltGuest } from '../../../../src/operations/guests/halt-guest.ts';
import { startGuest } from '../../../../src/operations/guests/start-guest.ts';
import type { ScheduleWorld } from '../../../../src/operations/schedule/units.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';
import { keepingDriver } from '../../../support/guests/keeping-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let records: RecordStore;
let events: Event[];
let world: ScheduleWorld;
const context = { signal: new AbortController().signal, report: (event: Event) => events.push(event) };
const move = { destination: 'newhost', directory: '/srv', sshConfigFile: null, remoteCommand: 'vmferry' };

beforeEach(() => {
  scratch = scratchDirectory();
  records = createRecordStore(join(scratch.path, 'guests'));
  events = [];
  world = {
    environment: { HOME: scratch.path, UML_DIR: '/my guests', XDG_RUNTIME_DIR: '/run/user/0', PATH: '' },
    userId: 0,
    vmferry: ['/usr/bin/node', '/usr/bin/vmferry'],
    unitDirectory: join(scratch.path, '.config/systemd/user'),
    isManagerRunning: true,
  };
});
afterEach(() => scratch[Symbol.dispose]());

function dependencies(...drivers: GuestDriver[]) {
  return { drivers, records, consoleLogOf: (guest: string) => `/console/${guest}.log` };
}

function autostart(driver: GuestDriver, changes: Partial<AutostartRequest> = {}) {
  const request = {
    guest: 'web',
    isOn: true,
    isSystem: false,
    bootTimeoutMs: 60_000,
    haltTimeoutMs: 60_000,
    after: [],
  };
  return setAutostart({ ...request, ...changes }, dependencies(driver), world, context);
}

function uml(): GuestDriver {
  return { ...fakeDriver(fakeDefinition('web')), environmentNames: ['UML_DIR', 'XDG_RUNTIME_DIR'] };
}

const unit = 'vmferry-guest-web.service';
const file = () => join(world.unitDirectory, unit);

function writeUnit(text: string): void {
  const wants = join(world.unitDirectory, 'default.target.wants');
  mkdirSync(wants, { recursive: true });
  writeFileSync(file(), text);
  symlinkSync(file(), join(wants, unit));
}

const written = (guest: string) =>
  `# Written by vmferry autostart; it may be written anew by it.\n# vmferry-autostart: ${guest}\n`;

describe('autostart', () => {
  test('of a guest that its hypervisor keeps is set there', async () => {
    const definition = fakeDefinition('web', [], { driver: 'libvirt' });
    const driver = { ...keepingDriver(definition), kind: 'libvirt' as const };
    const report = await autostart(driver);
    expect(report).toMatchObject({ driver: 'libvirt', autostart: true, unit: null, file: null });
    expect(driver.kept.get('web')?.autostart).toBe(true);
    await autostart(driver, { isOn: false });
    expect(driver.kept.get('web')?.autostart).toBe(false);
    expect(existsSync(world.unitDirectory)).toBe(false);
  });

  test('leaves no unit if systemctl does not enable it', async () => {
    await expect(autostart(uml())).rejects.toMatchObject({
      code: 'not-permitted',
      message: expect.stringContaining('systemctl --user daemon-reload: it is not installed.'),
    });
    expect(existsSync(file())).toBe(false);
    // It was remembered before, because its unit finds it by its record.
    expect(await records.read('web')).toMatchObject({ state: 'running' });
  });

  test('needs systemd, and says what to do without', async () => {
    world.isManagerRunning = false;
    await expect(autostart(uml())).rejects.toMatchObject({
      code: 'program-missing',
      message: 'No systemd runs for this account, so that it cannot start web with the machine.',
      advice:
        'Put `@reboot env ' +
        "'UML_DIR=/my guests' /usr/bin/node /usr/bin/vmferry start uml:web --if-down --boot-timeout 60` into the crontab (crontab -e), " +
        "and have the machine's shutdown run `env " +
        "'UML_DIR=/my guests' /usr/bin/node /usr/bin/vmferry halt uml:web --if-running --halt-timeout 60` first.",
    });
    expect(existsSync(file())).toBe(false);
  });

  test('is refused for a guest that was moved away', async () => {
    await records.write({ definition: fakeDefinition('web'), state: 'moved', move });
    await expect(autostart(uml())).rejects.toMatchObject({ code: 'guest-fenced' });
  });

  test.each([
    ['a unit that vmferry did not write', '[Unit]\n', /was not written by vmferry/],
    ['the unit of another guest', written('qemu:web'), /starts another guest: qemu:web/],
  ])('leaves %s alone', async (_, text, message) => {
    writeUnit(text);
    await expect(autostart(uml())).rejects.toMatchObject({
      code: 'target-exists',
      message: expect.stringMatching(message),
    });
    expect(readFileSync(file(), 'utf8')).toBe(text);
  });

  test.each(['web', 'uml:web'])('is taken back by the name %s, also if the guest is gone', async (guest) => {
    world.isManagerRunning = false;
    writeUnit(written('uml:web'));
    expect(await autostart(fakeDriver(), { guest, isOn: false })).toMatchObject({ guest: 'web', unit });
    expect([file(), join(world.unitDirectory, 'default.target.wants', unit)].map(existsSync)).toEqual([
      false,
      false,
    ]);
    await expect(autostart(fakeDriver(), { guest, isOn: false })).rejects.toMatchObject({
      code: 'guest-not-found',
    });
    expect(await autostart(uml(), { guest, isOn: false })).toMatchObject({ autostart: false, unit: null });
  });

  test('is seen by the unit and its link, for the guest that the unit starts', () => {
    const web = { driver: 'uml', name: 'web' } as const;
    const { environment } = world;
    expect(startedByUnit(web, environment)).toBeNull();
    writeUnit(written('uml:web'));
    expect(startedByUnit(web, environment)).toBe(true);
    expect(startedByUnit({ ...web, driver: 'qemu' }, environment)).toBeNull();
  });
});

describe('the commands of the unit', () => {
  const boot = { guest: 'uml:web', bootTimeoutMs: 1000 };
  const halt = { guest: 'uml:web', forceHalt: false, haltTimeoutMs: 1000 };

  test('do nothing, and succeed, when there is nothing to do', async () => {
    const driver = fakeDriver(fakeDefinition('web'));
    const given = dependencies(driver);
    expect(await startGuest({ ...boot, ifDown: true }, given, context)).toMatchObject({ guest: 'web' });
    expect(driver.history).toEqual([]);
    await haltGuest({ ...halt, ifRunning: true }, given, context);
    expect(driver.history).toEqual(['halt web']);
    expect(await haltGuest({ ...halt, ifRunning: true }, given, context)).toMatchObject({ type: 'halted' });
    expect(driver.history).toEqual(['halt web']);
    await startGuest({ ...boot, ifDown: true }, given, context);
    expect(driver.history).toEqual(['halt web', 'start web']);
  });

  test('leave a guest alone that was moved away', async () => {
    await records.write({ definition: fakeDefinition('web'), state: 'moved', move });
    const given = dependencies(fakeDriver());
    await expect(startGuest({ ...boot, ifDown: true }, given, context)).rejects.toMatchObject({
      code: 'guest-fenced',
    });
    expect(await haltGuest({ ...halt, ifRunning: true }, given, context)).toMatchObject({ type: 'halted' });
  });
});
