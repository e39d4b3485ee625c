import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import { Failure } from '../../../../src/failure.ts';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import type { GuestDriver, KeepingDriver } from '../../../../src/guest/guest-driver.ts';
import { createRecordStore, type RecordStore } from '../../../../src/guest/record-store.ts';
import { resolveGuest } from '../../../../src/guest/resolve-guest.ts';
import { listGuests } from '../../../../src/operations/guests/guests.ts';
import { haltGuests, setAutostarts, startGuests } from '../../../../src/operations/guests/several-guests.ts';
import {
  fakeDefinition,
  fakeDriver,
  STUBBORN,
  type FakeDriver,
} from '../../../support/guests/fake-driver.ts';
import { keepingDriver } from '../../../support/guests/keeping-driver.ts';
import { failureOf } from '../../../support/failures.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;
let records: RecordStore;
let events: Event[];
const context = { signal: new AbortController().signal, report: (event: Event) => events.push(event) };
const halt = { forceHalt: false, haltTimeoutMs: 1000 };
const start = { bootTimeoutMs: 1000 };

beforeEach(() => {
  scratch = scratchDirectory();
  records = createRecordStore(join(scratch.path, 'guests'));
  events = [];
});
afterEach(() => scratch[Symbol.dispose]());

function dependencies(...drivers: GuestDriver[]) {
  return { drivers, records, consoleLogOf: (guest: string) => `/console/${guest}.log` };
}

function silent(): GuestDriver {
  return {
    ...fakeDriver(),
    kind: 'libvirt',
    list: () => Promise.reject(new Failure('internal', 'no answer')),
  };
}

function xen(...guests: GuestDefinition[]): FakeDriver {
  const driver = fakeDriver(...guests.map((guest) => ({ ...guest, driver: 'xen' as const })));
  return { ...driver, kind: 'xen' };
}

/** Its guests do not run. */
function libvirt(...kept: GuestDefinition[]): GuestDriver & Pick<KeepingDriver, 'listKept'> {
  const guests = kept.map((definition) => ({ definition: { ...definition, driver: 'libvirt' as const } }));
  return { ...fakeDriver(), kind: 'libvirt', listKept: () => Promise.resolve(guests) };
}

const named = (...names: string[]) => names.map((name) => fakeDefinition(name));

const ofLibvirt = (guest: GuestDefinition) => ({ ...guest, driver: 'libvirt' as const });

describe('guests that start with the machine', () => {
  const world = {
    environment: {},
    userId: 0,
    vmferry: ['/usr/bin/vmferry'],
    unitDirectory: '/nowhere',
    isManagerRunning: false,
  };
  const request = { isOn: true, isSystem: true, bootTimeoutMs: 1000, haltTimeoutMs: 1000 };

  test('of a hypervisor that starts them itself have no order among the units, and a warning says so', async () => {
    const driver = { ...keepingDriver(...named('db', 'web').map(ofLibvirt)), kind: 'libvirt' as const };
    const set = (isOn: boolean) =>
      setAutostarts(['web', 'db'], { ...request, isOn }, dependencies(driver), world, context);
    expect(await set(true)).toMatchObject({
      type: 'guests-autostart',
      guests: [
        { guest: 'web', autostart: true, unit: null },
        { guest: 'db', autostart: true, unit: null },
      ],
      failed: [],
    });
    expect(events).toMatchObject([
      { type: 'warning', message: expect.stringMatching(/^web is started by libvirt itself/) },
      { type: 'warning', message: expect.stringMatching(/^db is started by libvirt itself/) },
    ]);
    events = [];
    expect((await set(false)).guests).toMatchObject([{ autostart: false }, { autostart: false }]);
    expect(events).toEqual([]);
  });

  test('that fail keep no others from it', async () => {
    const driver = { ...keepingDriver(...named('db').map(ofLibvirt)), kind: 'libvirt' as const };
    const report = await setAutostarts(['nobody', 'db'], request, dependencies(driver), world, context);
    expect(report).toMatchObject({
      guests: [{ guest: 'db' }],
      failed: [{ guest: 'nobody', code: 'guest-not-found' }],
    });
    expect(events).toContainEqual(
      expect.objectContaining({
        message: expect.stringMatching(/^nobody is not set to start with the machine: /),
      }),
    );
  });
});

describe('several guests', () => {
  test('are halted and started in the given order', async () => {
    const driver = fakeDriver(...named('web', 'db', 'mail'));
    const halted = await haltGuests(['web', 'db'], halt, dependencies(driver), context);
    expect(halted).toMatchObject({ guests: [{ guest: 'web' }, { guest: 'db' }], failed: [] });
    await startGuests(['db', 'web'], start, dependencies(driver), context);
    expect(driver.history).toEqual(['halt web', 'halt db', 'start db', 'start web']);
  });

  test('one that fails does not keep the others from being halted', async () => {
    const driver = fakeDriver(fakeDefinition('web', [], { commandLine: [STUBBORN] }), ...named('db'));
    const report = await haltGuests(['web', 'nobody', 'db'], halt, dependencies(driver), context);
    expect(report.guests).toMatchObject([{ guest: 'db' }]);
    expect(report.failed).toMatchObject([
      { guest: 'web', code: 'halt-failed' },
      { guest: 'nobody', code: 'guest-not-found' },
    ]);
    expect(events.filter(({ type }) => type === 'warning')).toHaveLength(2);
  });
});

describe('all guests', () => {
  test('are started by name, and halted in the reverse order, under all hypervisors', async () => {
    const uml = fakeDriver(...named('guest-10', 'guest-2'));
    const other = xen(...named('guest-1'));
    const all = dependencies(uml, other);
    const { guests } = await haltGuests(null, halt, all, context);
    expect(guests.map(({ guest }) => guest)).toEqual(['guest-10', 'guest-2', 'guest-1']);
    const started = await startGuests(null, start, all, context);
    expect(started.guests.map(({ guest }) => guest)).toEqual(['guest-1', 'guest-2', 'guest-10']);
    expect(await startGuests(null, start, all, context)).toMatchObject({ guests: [], failed: [] });
  });

  test('are those that ran before the machine went down, and not those that were moved away', async () => {
    const driver = fakeDriver();
    const [gone, moved] = [fakeDefinition('gone'), fakeDefinition('moved')];
    await records.write({ definition: gone, state: 'running' });
    const move = { destination: 'new', directory: null, sshConfigFile: null, remoteCommand: 'vmferry' };
    await records.write({ definition: moved, state: 'moved', move });
    await startGuests(null, start, dependencies(driver), context);
    expect(driver.history).toEqual(['start gone']);
  });

  test('a hypervisor that does not answer is a failure, and the guests of the others are halted', async () => {
    const driver = fakeDriver(...named('web'));
    const report = await haltGuests(null, halt, dependencies(silent(), driver), context);
    expect(report.guests).toMatchObject([{ guest: 'web' }]);
    expect(report.failed).toMatchObject([{ guest: 'libvirt:', message: 'no answer' }]);
  });
});

describe('the list of guests', () => {
  test('has the guests of all hypervisors, also those that do not run', async () => {
    const kept = [fakeDefinition('kept', [], { autostart: true }), fakeDefinition('both')];
    await records.write({ definition: { ...fakeDefinition('both'), driver: 'libvirt' }, state: 'running' });
    await records.write({ definition: fakeDefinition('gone'), state: 'running' });
    const all = dependencies(fakeDriver(...named('web')), libvirt(...kept));
    expect(await listGuests(all, context)).toMatchObject([
      { name: 'both', driver: 'libvirt', state: 'halted', autostart: null },
      { name: 'gone', driver: 'uml', state: 'gone' },
      { name: 'kept', driver: 'libvirt', state: 'halted', autostart: true },
      { name: 'web', driver: 'uml', state: 'running' },
    ]);
  });

  test('a hypervisor that does not answer hides no guest of another, and a warning names it', async () => {
    expect(await listGuests(dependencies(silent(), fakeDriver(...named('web'))), context)).toMatchObject([
      { name: 'web' },
    ]);
    expect(events).toEqual([
      {
        type: 'warning',
        code: 'hypervisor-silent',
        message: 'The guests of libvirt cannot be listed: no answer',
      },
    ]);
  });
});

describe('a name', () => {
  test('that guests of two hypervisors have is refused, with what to type', async () => {
    const all = dependencies(fakeDriver(...named('web')), xen(...named('web')));
    const { failed } = await haltGuests(['web'], halt, all, context);
    expect(failed).toMatchObject([
      {
        message: 'There are several guests named web here: of uml and of xen.',
        advice: 'Say which one: uml:web or xen:web',
      },
    ]);
    expect((await resolveGuest('xen:web', all, context)).definition.driver).toBe('xen');
    expect((await haltGuests(null, halt, all, context)).failed).toEqual([]);
  });

  test('of a guest that its hypervisor keeps is enough to start it', async () => {
    const driver = libvirt(...named('kept'));
    const { guests } = await startGuests(['kept'], start, dependencies(fakeDriver(), driver), context);
    expect(guests).toMatchObject([{ guest: 'kept' }]);
    expect(await records.read('kept')).toMatchObject({ state: 'running', definition: { driver: 'libvirt' } });
  });

  test('is found although another hypervisor does not answer; if it is not found, that failure is told', async () => {
    const all = dependencies(silent(), fakeDriver(...named('web')));
    expect((await resolveGuest('web', all, context)).running).not.toBeNull();
    await expect(resolveGuest('nobody', all, context)).rejects.toThrow(
      'Whether libvirt has a guest named nobody here is not known. no answer',
    );
    // An image in the current directory.
    const file = 'package.json';
    expect(await failureOf(() => resolveGuest(file, all, context))).toMatchObject({
      advice: expect.stringContaining(`./${file}`),
    });
  });
});
