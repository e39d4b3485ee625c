import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Context } from '../../../src/events.ts';
import { lowerFence, raiseFence } from '../../../src/guest/hypervisor-fence.ts';
import type { KeepingDriver } from '../../../src/guest/guest-driver.ts';
import { createRecordStore, type RecordStore } from '../../../src/guest/record-store.ts';
import { keepGuest } from '../../../src/operations/receive/keep-guest.ts';
import { fakeDefinition } from '../../support/guests/fake-driver.ts';
import { keepingDriver, type FakeKeepingDriver } from '../../support/guests/keeping-driver.ts';

const context: Context = { signal: new AbortController().signal, report: () => undefined };
const web = fakeDefinition('web', ['/srv/web.img'], { autostart: true });
const move = { destination: 'newhost', directory: null, sshConfigFile: null, remoteCommand: 'vmferry' };
const moved = { definition: web, state: 'moved', move } as const;

let directory: string;
let records: RecordStore;
let driver: FakeKeepingDriver;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vmferry-fence-'));
  records = createRecordStore(directory);
  driver = keepingDriver(web);
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

const sources = (one: KeepingDriver = driver) => ({ drivers: [one], records });

test('the hypervisor fences a guest that it keeps, and the record has what puts that back', async () => {
  await raiseFence(moved, sources(), context);
  const record = await records.read('web');
  expect(record).toMatchObject({ state: 'moved', fence: { text: expect.any(String) } });
  expect(driver.kept.get('web')).toMatchObject({ autostart: false, isFenced: true });
  await lowerFence(record, sources(), context);
  expect(driver.kept.get('web')).toMatchObject({ autostart: true, isFenced: false });
});

test('a guest that its hypervisor does not keep is fenced by its record alone', async () => {
  driver.kept.clear();
  await raiseFence(moved, sources(), context);
  const record = await records.read('web');
  expect(record).toMatchObject({ state: 'moved' });
  expect(record?.fence).toBeUndefined();
  await lowerFence(record, sources(), context);
  expect(driver.orders).toEqual([]);
});

test.each(['before', 'after'])(
  'a fence that was cut short %s the hypervisor took it is put back exactly',
  async (when) => {
    const dying: KeepingDriver = {
      ...driver,
      async fence(definition, its) {
        if (when === 'after') await driver.fence(definition, its);
        throw new Error('killed');
      },
    };
    await expect(raiseFence(moved, sources(dying), context)).rejects.toThrow('killed');
    const record = await records.read('web');
    expect(record).toMatchObject({ state: 'moved', fence: { text: null } });
    await lowerFence(record, sources(), context);
    expect(driver.kept.get('web')).toMatchObject({ autostart: true, isFenced: false });
  },
);

test('a guest that comes is known to its hypervisor, and forgotten if it does not boot', async () => {
  driver.kept.clear();
  const kept = await keepGuest(web, null, sources(), context);
  expect(driver.kept.get('web')).toMatchObject({ autostart: true, isFenced: false });
  await kept.undo();
  expect(driver.kept.size).toBe(0);
});

test('a guest that comes home replaces its fenced former self, which is put back if it does not boot', async () => {
  await raiseFence(moved, sources(), context);
  const earlier = await records.read('web');
  const home = fakeDefinition('web', ['/srv/new.img']);
  const kept = await keepGuest(home, earlier, sources(), context);
  expect(driver.kept.get('web')).toMatchObject({ definition: home, isFenced: false });
  await kept.undo();
  expect(driver.kept.get('web')).toMatchObject({ definition: web, isFenced: true });
  expect(await records.read('web')).toMatchObject({ state: 'moved', fence: { text: expect.any(String) } });
});

test('another guest of that name that the hypervisor keeps is left alone', async () => {
  await expect(keepGuest(fakeDefinition('web'), null, sources(), context)).rejects.toMatchObject({
    code: 'target-exists',
  });
  expect(driver.kept.get('web')).toMatchObject({ definition: web });
});
