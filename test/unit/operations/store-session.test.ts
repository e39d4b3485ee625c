import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import type { Event } from '../../../src/events.ts';
import { StoreSession } from '../../../src/operations/store-session.ts';
import { memoryStore } from '../../support/memory-store.ts';

test.each([
  { encrypt: true, kind: ', encrypted' },
  { encrypt: false, kind: 'not encrypted' },
])('a store that is made is told, once, and of what kind it is: $kind', async ({ encrypt, kind }) => {
  const store = memoryStore('/srv/backups');
  const events: Event[] = [];
  const open = () =>
    StoreSession.openOrMake(
      store,
      {
        passphrase: () => Promise.resolve('correct horse battery'),
        memory: { recall: () => Promise.resolve(null), remember: () => Promise.resolve() },
      },
      { encrypt, cost: { N: 2 ** 14, r: 8, p: 1 }, random: randomBytes, now: () => new Date(0) },
      { signal: new AbortController().signal, report: (event) => void events.push(event) },
    );
  expect((await open()).isNew).toBe(true);
  expect(events).toEqual([{ type: 'notice', message: expect.stringContaining(`/srv/backups, `) }]);
  expect(events).toEqual([{ type: 'notice', message: expect.stringContaining(kind) }]);
  expect((await open()).isNew).toBe(false);
  expect(events).toHaveLength(1);
});
