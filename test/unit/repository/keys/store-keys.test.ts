import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ScryptCost } from '../../../../src/repository/keys/store-key-file.ts';
import { initStore, openStore, type PassphraseSource } from '../../../../src/repository/keys/store-keys.ts';
import { codeOf } from '../../../support/failures.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';

const { signal } = new AbortController();
const cost: ScryptCost = { N: 2 ** 14, r: 8, p: 1 };
const secret: PassphraseSource = () => Promise.resolve('correct horse battery');
const notAsked: PassphraseSource = () => Promise.reject(new Error('a passphrase was asked for'));
const now = () => new Date('2026-11-22T03:00:00Z');

let store: ReturnType<typeof memoryStore>;
beforeEach(() => {
  store = memoryStore();
});

function init(encrypt: boolean, passphrase: PassphraseSource) {
  return initStore(store, { encrypt, cost, random: randomBytes, now }, passphrase, signal);
}

function text(name: string): string {
  return Buffer.from(store.files.get(name) ?? []).toString();
}

describe('a plain store', () => {
  test('is made once, and opened without a passphrase', async () => {
    const made = await init(false, notAsked);
    expect(made).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{32}$/), key: null });
    expect([...store.files.keys()]).toEqual(['vmferry-store.json']);
    expect(await openStore(store, notAsked, signal)).toEqual(made);
    expect(await codeOf(() => init(false, notAsked))).toBe('target-exists');
    expect(await openStore(store, notAsked, signal)).toEqual(made);
  });

  test('never becomes an encrypted one', async () => {
    await init(false, notAsked);
    expect(await codeOf(() => init(true, notAsked))).toBe('target-exists');
    expect([...store.files.keys()]).toEqual(['vmferry-store.json']);
  });
});

describe('an encrypted store', () => {
  test('is made with a key that the passphrase opens', async () => {
    const made = await init(true, secret);
    expect(made.key).toHaveLength(32);
    expect([...store.files.keys()]).toEqual([
      expect.stringMatching(/^keys[/][0-9a-f]{16}[.]json$/),
      'vmferry-store.json',
    ]);
    const opened = await openStore(store, secret, signal);
    expect(opened.key).toEqual(made.key);
    expect(
      Buffer.from(opened.seal.open('table', made.seal.seal('table', Buffer.from('text')))).toString(),
    ).toBe('text');
    expect(
      (await openStore(store, () => Promise.resolve({ storeKey: made.key ?? new Uint8Array() }), signal)).id,
    ).toBe(made.id);
  });

  test('asks for a new passphrase once when it is made', async () => {
    const uses: string[] = [];
    await init(true, (use) => {
      uses.push(use);
      return Promise.resolve('correct horse battery');
    });
    expect(uses).toEqual(['new']);
  });

  test('is never made again', async () => {
    const made = await init(true, secret);
    const files = new Map(store.files);
    for (const encrypt of [true, false])
      expect(await codeOf(() => init(encrypt, notAsked))).toBe('target-exists');
    expect(store.files).toEqual(files);
    expect((await openStore(store, secret, signal)).key).toEqual(made.key);
  });

  test('is not opened by anything else', async () => {
    await init(true, secret);
    expect(await codeOf(() => openStore(store, () => Promise.resolve('another passphrase'), signal))).toBe(
      'key-wrong',
    );
    const storeKey = Buffer.alloc(32);
    expect(await codeOf(() => openStore(store, () => Promise.resolve({ storeKey }), signal))).toBe(
      'key-wrong',
    );
  });

  test('is not made with a short passphrase, or with a store’s key', async () => {
    expect(await codeOf(() => init(true, () => Promise.resolve('short')))).toBe('usage');
    expect(await codeOf(() => init(true, () => Promise.resolve({ storeKey: Buffer.alloc(32) })))).toBe(
      'usage',
    );
    expect(store.files.size).toBe(0);
  });

  test('says so when all of its keys are lost', async () => {
    await init(true, secret);
    for (const name of store.files.keys()) if (name.startsWith('keys/')) store.files.delete(name);
    expect(await codeOf(() => openStore(store, secret, signal))).toBe('store-damaged');
  });

  test('is opened although there are damaged keys and other files', async () => {
    await init(true, secret);
    store.files.set('keys/0000000000000000.json', Buffer.from('{}'));
    store.files.set('keys/README', Buffer.from('not ours'));
    store.files.set('keys/1111111111111111.json', Buffer.alloc(2 ** 20));
    expect((await openStore(store, secret, signal)).key).not.toBeNull();
    expect(await codeOf(() => openStore(store, () => Promise.resolve('another passphrase'), signal))).toBe(
      'store-damaged',
    );
  });

  test('is refused with thousands of keys, which would take long to try', async () => {
    await init(true, secret);
    for (let count = 0; count < 33; count++)
      store.files.set(`keys/${String(count).padStart(16, '0')}.json`, Buffer.from('{}'));
    expect(await codeOf(() => openStore(store, secret, signal))).toBe('store-damaged');
  });

  test('is not opened by the key file of another store, even with the same passphrase', async () => {
    await init(true, secret);
    const mine = text('vmferry-store.json');
    store.files.clear();
    await init(true, secret);
    store.files.set('vmferry-store.json', Buffer.from(mine));
    expect(await codeOf(() => openStore(store, secret, signal))).toBe('store-damaged');
  });

  test('is refused if its id was changed', async () => {
    const { id } = await init(true, secret);
    store.files.set(
      'vmferry-store.json',
      Buffer.from(text('vmferry-store.json').replace(id, '0'.repeat(32))),
    );
    expect(await codeOf(() => openStore(store, secret, signal))).toBe('store-damaged');
  });
});

describe('a store that two processes make at the same moment', () => {
  /** Holds the markers back until both processes are about to write theirs. */
  function meetAtMarker(parties: number) {
    const put = store.put.bind(store);
    let arrived = 0;
    let letGo: () => void = () => undefined;
    const all = new Promise<void>((resolve) => (letGo = resolve));
    store.put = async (name, parts, options) => {
      if (name === 'vmferry-store.json') {
        if (++arrived === parties) letGo();
        await all;
      }
      await put(name, parts, options);
    };
  }

  test.each([
    ['the same passphrase', secret],
    ['another passphrase', () => Promise.resolve('another passphrase')],
  ])('belongs to one of them, and the other one fails: %s', async (_, othersSecret) => {
    meetAtMarker(2);
    const outcomes = await Promise.allSettled([init(true, secret), init(true, othersSecret)]);
    const [made, ...others] = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(others).toEqual([]);
    expect(outcomes).toContainEqual(
      expect.objectContaining({ reason: expect.objectContaining({ code: 'target-exists' }) }),
    );
    expect([...store.files.keys()].filter((name) => name.startsWith('keys/'))).toEqual([
      `keys/${made?.openedBy}.json`,
    ]);
    const winner = outcomes[0]?.status === 'fulfilled' ? secret : othersSecret;
    expect((await openStore(store, winner, signal)).key).toEqual(made?.key);
  });
});

test.each([true, false])(
  'a store whose marker vanishes at once was not made (encrypted: %s)',
  async (encrypt) => {
    const put = store.put.bind(store);
    store.put = async (name, parts, options) => {
      await put(name, parts, options);
      if (name === 'vmferry-store.json') store.files.delete(name);
    };
    expect(await codeOf(() => init(encrypt, secret))).toBe('store-missing');
    expect([...store.files.keys()]).toEqual([]);
  },
);

describe('a directory that holds no store', () => {
  test('cannot be opened', async () => {
    expect(await codeOf(() => openStore(store, notAsked, signal))).toBe('store-missing');
  });

  test('does not become a store if there are guests', async () => {
    store.files.set('guests/web/packs/x.tar', Buffer.from(''));
    expect(await codeOf(() => init(false, notAsked))).toBe('store-damaged');
    expect(store.files.size).toBe(1);
  });

  test('becomes a store even if there are other files', async () => {
    store.files.set('photos/cat.jpg', Buffer.from(''));
    expect((await init(false, notAsked)).key).toBeNull();
  });
});

test('only the beginning of a large marker is read', async () => {
  store.files.set('vmferry-store.json', Buffer.alloc(2 ** 20, ' '));
  expect(await codeOf(() => openStore(store, notAsked, signal))).toBe('store-damaged');
});
