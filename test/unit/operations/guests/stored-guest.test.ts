import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { GuestDefinition } from '../../../../src/guest/definition.ts';
import type { GuestDriver } from '../../../../src/guest/guest-driver.ts';
import { createRecordStore, type RecordStore } from '../../../../src/guest/record-store.ts';
import { checkStoredBootable } from '../../../../src/operations/guests/stored-guest.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const plain = { key: null };

let scratch: ReturnType<typeof scratchDirectory>;
let records: RecordStore;

beforeEach(() => {
  scratch = scratchDirectory();
  records = createRecordStore(join(scratch.path, 'guests'));
});

afterEach(() => scratch[Symbol.dispose]());

const definition = (name: string, kernel: string | null) => fakeDefinition(name, [], { kernel });

/** Whether the driver is told to trust the store's description of the guest. */
async function isVouchedFor(store: { key: Uint8Array | null }, ...running: GuestDefinition[]) {
  let answer: boolean | undefined;
  const driver: GuestDriver = {
    ...fakeDriver(...running),
    checkBootable: (_definition, _context, told) => {
      answer = told;
      return Promise.resolve([]);
    },
  };
  await checkStoredBootable(
    definition('web', '/opt/start-linux'),
    store,
    { drivers: [driver], records },
    context,
  );
  return answer;
}

test('an encrypted store is trusted', async () => {
  expect(await isVouchedFor({ key: new Uint8Array(32) })).toBe(true);
});

test('a plain store is not trusted', async () => {
  await records.write({ definition: definition('web', '/usr/bin/linux.uml'), state: 'halted' });
  await records.write({ definition: definition('mail', null), state: 'halted' });
  expect(await isVouchedFor(plain)).toBe(false);
});

test('a kernel that guests of this machine run with is trusted', async () => {
  const mail = definition('mail', '/opt/start-linux');
  expect(await isVouchedFor(plain, mail)).toBe(true);
  await records.write({ definition: mail, state: 'halted' });
  expect(await isVouchedFor(plain)).toBe(true);
});
