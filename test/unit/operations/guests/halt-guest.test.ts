import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { thisMover } from '../../../../src/guest/mover.ts';
import { createRecordStore } from '../../../../src/guest/record-store.ts';
import { haltGuest } from '../../../../src/operations/guests/halt-guest.ts';
import { fakeDefinition, fakeDriver } from '../../../support/guests/fake-driver.ts';
import { scratchDirectory } from '../../../support/images/images.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

test('a guest that is halted while a move copies it stays claimed by that move', async () => {
  using directory = scratchDirectory();
  const records = createRecordStore(join(directory.path, 'guests'));
  const definition = fakeDefinition('web');
  const driver = fakeDriver(definition);
  const { mover } = thisMover();
  if (mover === undefined) throw new Error('this process has no entry in /proc');
  const copying = { destination: 'newhost', mover };
  await records.write({ definition, state: 'running', copying });

  const request = { guest: 'web', forceHalt: false, haltTimeoutMs: 1000 };
  await haltGuest(request, { drivers: [driver], records }, context);
  expect(driver.history).toEqual(['halt web']);
  expect(await records.read('web')).toMatchObject({ state: 'halted', copying });
});
