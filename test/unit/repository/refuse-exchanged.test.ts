import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from '@jest/globals';
import { refuseExchanged } from '../../../src/repository/refuse-exchanged.ts';
import { initStore, openStore } from '../../../src/repository/keys/store-keys.ts';
import { codeOf } from '../../support/failures.ts';
import { memoryStore } from '../../support/stores/memory-store.ts';

const { signal } = new AbortController();
const cost = { N: 2 ** 14, r: 8, p: 1 };
const secret = () => Promise.resolve('correct horse battery');

let store: ReturnType<typeof memoryStore>;
beforeEach(() => {
  store = memoryStore();
});

function make(encrypt: boolean) {
  store.files.clear();
  return initStore(store, { encrypt, cost, random: randomBytes, now: () => new Date(0) }, secret, signal);
}

test.each([true, false])('the store that was opened is accepted (encrypted: %s)', async (encrypt) => {
  const opened = await make(encrypt);
  await refuseExchanged(store, opened, signal);
  await refuseExchanged(store, await openStore(store, secret, signal), signal);
});

test.each([
  { was: true, is: true },
  { was: true, is: false },
  { was: false, is: true },
  { was: false, is: false },
])('another store in its place is refused (encrypted: $was, then $is)', async ({ was, is }) => {
  const opened = await make(was);
  await make(is);
  expect(await codeOf(() => refuseExchanged(store, opened, signal))).toBe('store-damaged');
});

test('a store that is no longer encrypted is refused although its id is the same', async () => {
  const opened = await make(true);
  const name = 'vmferry-store.json';
  const plain = JSON.stringify({ format: 'vmferry-store', version: 1, id: opened.id, encryption: null });
  store.files.set(name, Buffer.from(plain));
  expect(await codeOf(() => refuseExchanged(store, opened, signal))).toBe('store-damaged');
});

test('a store whose marker is gone is refused', async () => {
  const opened = await make(true);
  store.files.clear();
  expect(await codeOf(() => refuseExchanged(store, opened, signal))).toBe('store-missing');
});
