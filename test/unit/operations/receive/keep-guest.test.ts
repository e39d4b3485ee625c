import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import { Failure } from '../../../../src/failure.ts';
import { createRecordStore } from '../../../../src/guest/record-store.ts';
import { forgetAgain, keepGuest } from '../../../../src/operations/receive/keep-guest.ts';
import { fakeDefinition } from '../../../support/guests/fake-driver.ts';
import { keepingDriver } from '../../../support/guests/keeping-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

test('after a failed boot, a guest that its hypervisor does not forget does not start with the machine', async () => {
  using scratch = scratchDirectory();
  const records = createRecordStore(join(scratch.path, 'records'));
  const driver = keepingDriver();
  const events: Event[] = [];
  const context = { signal: new AbortController().signal, report: (event: Event) => void events.push(event) };
  const guest = { ...fakeDefinition('web', []), driver: driver.kind, autostart: true };
  const kept = await keepGuest(guest, null, { drivers: [driver], records }, context);
  expect(driver.kept.get('web')?.autostart).toBe(true);
  driver.drop = () => Promise.reject(new Failure('guest-unsupported', 'It cannot be forgotten.'));
  await forgetAgain(kept, context);
  expect(driver.kept.get('web')?.autostart).toBe(false);
  expect(events).toMatchObject([
    { code: 'clean-up-incomplete', message: expect.stringContaining('It cannot be forgotten.') },
  ]);
});
