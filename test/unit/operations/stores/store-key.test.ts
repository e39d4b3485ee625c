import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Event } from '../../../../src/events.ts';
import {
  addStoreKey,
  exportStoreKey,
  listStoreKeys,
  removeStoreKey,
} from '../../../../src/operations/stores/store-key.ts';
import { parseStoreKeyText } from '../../../../src/repository/keys/store-key-text.ts';
import { initStore, openStore, type PassphraseSource } from '../../../../src/repository/keys/store-keys.ts';
import { codeOf } from '../../../support/failures.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';

const cost = { N: 2 ** 14, r: 8, p: 1 };
const first: PassphraseSource = () => Promise.resolve('correct horse battery');
const second: PassphraseSource = () => Promise.resolve('another passphrase');

let store: ReturnType<typeof memoryStore>;
let events: Event[];
let storeKey: Uint8Array | null;

const signal = new AbortController().signal;
const context = { signal, report: (event: Event) => events.push(event) };

async function openedBy(passphrase: PassphraseSource) {
  return { store, opened: await openStore(store, passphrase, signal) };
}

async function keyIds(): Promise<string[]> {
  return (await listStoreKeys(await openedBy(first), context)).keys.map(({ id }) => id);
}

async function canOpen(passphrase: PassphraseSource): Promise<boolean> {
  try {
    return Buffer.from((await openStore(store, passphrase, signal)).key ?? []).equals(
      storeKey ?? new Uint8Array(),
    );
  } catch {
    return false;
  }
}

beforeEach(async () => {
  store = memoryStore();
  events = [];
  const now = () => new Date('2026-11-22T03:00:00Z');
  ({ key: storeKey } = await initStore(
    store,
    { encrypt: true, cost, random: randomBytes, now },
    first,
    signal,
  ));
});

describe('the keys of a store', () => {
  test('are listed, with a warning about a damaged one', async () => {
    const { keys } = await listStoreKeys(await openedBy(first), context);
    expect(keys).toEqual([
      { id: expect.stringMatching(/^[0-9a-f]{16}$/), createdAt: '2026-11-22T03:00:00.000Z', label: '' },
    ]);
    store.files.set('keys/0000000000000000.json', Buffer.from('{}'));
    expect(await keyIds()).toEqual([keys[0]?.id]);
    expect(events).toMatchObject([{ type: 'warning', message: expect.stringContaining('0000000000000000') }]);
  });

  test('can be added', async () => {
    const { key } = await addStoreKey(await openedBy(first), second, { label: 'safe', cost }, context);
    expect(await keyIds()).toHaveLength(2);
    expect(await keyIds()).toContain(key);
    expect(await canOpen(second)).toBe(true);
    expect(await canOpen(first)).toBe(true);
  });

  test('cannot be added without a valid passphrase, with a short new one, or beyond the limit', async () => {
    expect(
      await codeOf(async () => addStoreKey(await openedBy(second), second, { label: '', cost }, context)),
    ).toBe('key-wrong');
    const short: PassphraseSource = () => Promise.resolve('short');
    expect(
      await codeOf(async () => addStoreKey(await openedBy(first), short, { label: '', cost }, context)),
    ).toBe('usage');
    const [name = '', bytes = new Uint8Array()] =
      [...store.files].find(([file]) => file.startsWith('keys/')) ?? [];
    for (let count = 0; count < 31; count++) {
      const id = String(count).padStart(16, '0');
      store.files.set(
        `keys/${id}.json`,
        Buffer.from(Buffer.from(bytes).toString().replace(name.slice(5, 21), id)),
      );
    }
    expect(
      await codeOf(async () => addStoreKey(await openedBy(first), second, { label: '', cost }, context)),
    ).toBe('usage');
  });

  test('can be removed, except for the last one and the one in use', async () => {
    const [oldKey = ''] = await keyIds();
    expect(await codeOf(async () => removeStoreKey(await openedBy(first), oldKey, context))).toBe('usage');
    const { key } = await addStoreKey(await openedBy(first), second, { label: '', cost }, context);
    expect(await codeOf(async () => removeStoreKey(await openedBy(second), key, context))).toBe('usage');
    expect(
      await codeOf(async () => removeStoreKey(await openedBy(second), '0000000000000000', context)),
    ).toBe('usage');
    expect(await removeStoreKey(await openedBy(second), oldKey, context)).toMatchObject({
      type: 'key-removed',
      key: oldKey,
    });
    expect(await canOpen(first)).toBe(false);
    expect(await canOpen(second)).toBe(true);
  });

  test('are exported as one text that opens the store', async () => {
    const { text } = exportStoreKey(await openedBy(first));
    const { key, storeId } = parseStoreKeyText(text);
    expect(storeId).toBe((await openStore(store, first, signal)).id);
    expect(await canOpen(() => Promise.resolve({ storeKey: key }))).toBe(true);
  });
});

test('a plain store has no keys', async () => {
  store = memoryStore();
  await initStore(store, { encrypt: false, random: randomBytes, now: () => new Date(0) }, first, signal);
  expect(await codeOf(keyIds)).toBe('usage');
  expect(await codeOf(async () => exportStoreKey(await openedBy(first)))).toBe('usage');
});
