import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from '@jest/globals';
import { StoreSession } from '../../../../src/operations/store-access/store-session.ts';
import { codeOf, failureOf } from '../../../support/failures.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const options = {
  passphrase: () => Promise.resolve('correct horse battery'),
  memory: { recall: () => Promise.resolve(null), remember: () => Promise.resolve() },
};

let store: ReturnType<typeof memoryStore>;
beforeEach(() => {
  store = memoryStore('/srv/backups');
});

function make(encrypt: boolean) {
  const init = { encrypt, cost: { N: 2 ** 14, r: 8, p: 1 }, random: randomBytes, now: () => new Date(0) };
  return StoreSession.make(store, options, init, context);
}

test('opening fails where no store was made, and the advice says how to make one', async () => {
  expect(await failureOf(() => StoreSession.open(store, options, context))).toMatchObject({
    code: 'store-missing',
    advice: expect.stringContaining('vmferry init /srv/backups --encrypt'),
  });
  expect(store.files.size).toBe(0);
  const { id } = (await make(true)).opened;
  expect((await StoreSession.open(store, options, context)).opened.id).toBe(id);
});

test('a plain store is refused if it must be encrypted', async () => {
  await make(false);
  const mustBe = { ...options, forBackups: { mustBeEncrypted: true } };
  expect(await codeOf(() => StoreSession.open(store, mustBe, context))).toBe('usage');
  store.files.clear();
  await make(true);
  expect((await StoreSession.open(store, mustBe, context)).opened.key).not.toBeNull();
});
