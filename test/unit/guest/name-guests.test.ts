import { expect, test } from '@jest/globals';
import { Failure } from '../../../src/failure.ts';
import type { GuestDriver } from '../../../src/guest/guest-driver.ts';
import { nameGuests } from '../../../src/guest/disks/name-guests.ts';
import { describeUsers } from '../../../src/image/usage/describe-users.ts';
import type { ImageUser } from '../../../src/image/usage/usage.ts';
import { fakeDefinition, fakeDriver } from '../../support/guests/fake-driver.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

test('a guest with several processes is named once, and other users stay in the list', async () => {
  const open = (name: string, pid: number): ImageUser => ({
    kind: 'process',
    pid,
    name,
    description: `is open in ${name} (process ${pid})`,
  });
  const helpers = [7, 8, 9].map((pid) => open('xen-qdisk', pid));
  const driver: GuestDriver = {
    ...fakeDriver(fakeDefinition('mail'), fakeDefinition('web')),
    usersBesides: async ({ definition }, users) =>
      users.filter(({ name }) => definition.name !== 'web' || name !== 'xen-qdisk'),
  };
  const silent: GuestDriver = {
    ...fakeDriver(),
    list: () => Promise.reject(new Failure('internal', 'Silent.')),
  };
  const users = await nameGuests([...helpers, open('dd', 50)], [silent, driver], context);
  expect(users).toHaveLength(2);
  expect(describeUsers(users)).toBe(
    'is a disk of web, which runs (domain 2), and is open in dd (process 50)',
  );
});
