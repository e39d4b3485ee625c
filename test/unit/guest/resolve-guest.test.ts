import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Context } from '../../../src/events.ts';
import { Failure } from '../../../src/failure.ts';
import type { GuestDriver, RunningGuest } from '../../../src/guest/guest-driver.ts';
import { placed } from '../../../src/placed-text.ts';
import { createRecordStore, type RecordStore } from '../../../src/guest/record-store.ts';
import { resolveGuest } from '../../../src/guest/resolve-guest.ts';
import { fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';

const context: Context = { signal: new AbortController().signal, report: () => undefined };
const move = { destination: 'newhost', directory: null, sshConfigFile: null, remoteCommand: 'vmferry' };

let directory: string;
let records: RecordStore;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-resolve-'));
  records = createRecordStore(directory);
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const definition = (name: string) => fakeDefinition(name);
const web: RunningGuest = {
  definition: definition('web'),
  identity: { id: '1', label: 'domain 1' },
  cpuSeconds: 0,
};

function resolve(name: string, ...running: RunningGuest[]) {
  const driver: GuestDriver = { ...fakeDriver(), list: async () => running };
  return resolveGuest(name, { drivers: [driver], records }, context);
}

test('the definition of a running guest is used instead of its record', async () => {
  const record = await records.write({ definition: { ...definition('web'), cpuCount: 2 }, state: 'halted' });
  expect(await resolve('web', web)).toEqual({ definition: web.definition, running: web, record });
});

test('a guest that is remembered is found', async () => {
  const record = await records.write({ definition: definition('web'), state: 'halted' });
  expect(await resolve('web')).toEqual({ definition: definition('web'), running: null, record });
});

test('a guest whose move has not ended is found, so that it can be moved again', async () => {
  await records.write({ definition: definition('web'), state: 'moving', move });
  expect((await resolve('web')).record?.state).toBe('moving');
});

test('a guest that was moved away is refused', async () => {
  await records.write({ definition: definition('web'), state: 'moved', move });
  await expect(resolve('web')).rejects.toMatchObject({ code: 'guest-fenced' });
});

test('a guest that cannot be moved is refused, with its reason', async () => {
  const unsupported = new Failure('guest-unsupported', 'It has something.');
  await expect(resolve('web', { ...web, unsupported })).rejects.toBe(unsupported);
});

test('the snapshots of a running guest are found with it', async () => {
  const earlierStates = {
    text: 'monday (inside its images)',
    insideImages: ['monday'],
    forget: placed`Delete it.`,
  };
  expect(await resolve('web', { ...web, earlierStates })).toMatchObject({ earlierStates });
  expect(await resolve('web', web)).not.toHaveProperty('earlierStates');
});

test('a path is an image, with its own name', async () => {
  expect(await resolve('/srv/guests/web.img')).toEqual({
    definition: {
      ...definition('web.img'),
      driver: 'offline',
      disks: [{ device: 'disk0', path: '/srv/guests/web.img', readOnly: false }],
    },
    running: null,
    record: null,
  });
  expect((await resolve('./web', web)).definition.driver).toBe('offline');
  await expect(resolve('/srv/.hidden')).rejects.toMatchObject({ code: 'guest-unsupported' });
});

test('a name without a slash is a file only if there is such a file, and no such guest', async () => {
  // The tests run in the project's directory.
  expect((await resolve('package.json')).definition.driver).toBe('offline');
  await records.write({ definition: definition('mail'), state: 'halted' });
  await expect(resolve('nothing', web)).rejects.toMatchObject({
    code: 'guest-not-found',
    advice: expect.stringContaining('mail, web'),
  });
});
