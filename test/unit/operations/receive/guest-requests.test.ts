import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Failure } from '../../../../src/failure.ts';
import type { GuestDriver } from '../../../../src/guest/guest-driver.ts';
import { createRecordStore } from '../../../../src/guest/record-store.ts';
import { haltGuest, lookForGuest } from '../../../../src/operations/receive/guest-requests.ts';
import { failureOf } from '../../../support/failures.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

let scratch: ReturnType<typeof scratchDirectory>;
const context = { signal: new AbortController().signal, report: () => undefined };

beforeEach(() => {
  scratch = scratchDirectory();
});
afterEach(() => scratch[Symbol.dispose]());

const silent: GuestDriver = {
  ...fakeDriver(),
  kind: 'libvirt',
  list: () => Promise.reject(new Failure('hypervisor-missing', 'libvirt does not answer.')),
};
const guestsHere = (...drivers: GuestDriver[]) => ({
  drivers,
  records: createRecordStore(join(scratch.path, 'guests')),
  consoleLogOf: (guest: string) => `/console/${guest}.log`,
});
const order = {
  type: 'halt',
  name: 'web',
  force: false,
  timeoutMs: 1000,
  destination: 'old',
} as const;

test('a guest is halted, though another hypervisor does not answer', async () => {
  const driver = fakeDriver(fakeDefinition('web'));
  const here = guestsHere(silent, driver);
  expect(await lookForGuest('web', here, context)).toMatchObject({ isRunning: true });
  expect(await haltGuest(order, here, context)).toEqual({ type: 'halted', wasRunning: true });
  expect(driver.history).toEqual(['halt web']);
});

test('nobody is told that a guest does not run while a hypervisor that may run it does not answer', async () => {
  const here = guestsHere(silent, fakeDriver());
  const missing = { code: 'hypervisor-missing' };
  expect(await failureOf(() => lookForGuest('web', here, context))).toMatchObject(missing);
  expect(await failureOf(() => haltGuest(order, here, context))).toMatchObject(missing);
  expect(await haltGuest(order, guestsHere(fakeDriver()), context)).toMatchObject({ wasRunning: false });
});
