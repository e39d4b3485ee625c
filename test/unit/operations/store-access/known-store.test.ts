import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Context, Event } from '../../../../src/events.ts';
import { compareSnapshots, openKnownStore } from '../../../../src/operations/store-access/known-store.ts';
import { initStore, openStore } from '../../../../src/repository/keys/store-keys.ts';
import type { RememberedStore, StoreMemory } from '../../../../src/repository/store-memory.ts';
import { codeOf } from '../../../support/failures.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';

const cost = { N: 2 ** 14, r: 8, p: 1 };
const secret = () => Promise.resolve('correct horse battery');
const first = '20261122T030000Z-1f3a9c2e';
const second = '20261123T030000Z-00000000';

let store: ReturnType<typeof memoryStore>;
let known: RememberedStore | null;
let events: Event[];
let context: Context;

const memory: StoreMemory = {
  recall: () => Promise.resolve(known),
  remember(_location, { id, isEncrypted }, changes = new Map()) {
    const newest = new Map(known?.newest);
    for (const [guest, snapshot] of changes) if (snapshot !== null) newest.set(guest, snapshot);
    known = { id, isEncrypted, newest, file: '/state/x.json' };
    return Promise.resolve();
  },
};

beforeEach(() => {
  store = memoryStore();
  known = null;
  events = [];
  context = { signal: new AbortController().signal, report: (event) => events.push(event) };
});

function make(encrypt: boolean) {
  const { signal } = context;
  const now = () => new Date(0);
  const open = () => initStore(store, { encrypt, cost, random: randomBytes, now }, secret, signal);
  return openKnownStore(store, open, memory, context);
}

function open() {
  return openKnownStore(store, () => openStore(store, secret, context.signal), memory, context);
}

describe('a store that is opened', () => {
  test('is remembered when it is made, and recognized later', async () => {
    const { id } = await make(true);
    expect(known).toMatchObject({ id, isEncrypted: true });
    expect((await open()).id).toBe(id);
    expect(events).toEqual([]);
  });

  test('is refused if it was encrypted and is now plain, another store, or gone', async () => {
    await make(true);
    store.files.clear();
    expect(await codeOf(open)).toBe('store-missing');
    expect(await codeOf(() => make(false))).toBe('store-missing');
    expect(store.files.size).toBe(0);

    const other = memoryStore();
    await initStore(
      other,
      { encrypt: false, random: randomBytes, now: () => new Date(0) },
      secret,
      context.signal,
    );
    store.files.set('vmferry-store.json', other.files.get('vmferry-store.json') ?? new Uint8Array());
    expect(await codeOf(open)).toBe('store-damaged');
    expect(known?.isEncrypted).toBe(true);
  });
});

describe('the snapshots of a guest', () => {
  const compare = async (ids: string[]) => {
    const { id, key } = await open();
    const found = { id, isEncrypted: key !== null, snapshots: new Map([['web', ids]]) };
    await compareSnapshots(found, store.location, memory, new Date('2027-01-01'), context);
  };

  test('are remembered by the newest one', async () => {
    await make(true);
    await compare([]);
    expect(known?.newest.size).toBe(0);
    await compare([second, first]);
    expect(known?.newest.get('web')).toBe(second);
    expect(events).toEqual([]);
  });

  test('are not remembered by one dated in the future if there are others', async () => {
    const future = '20311122T030000Z-00000000';
    await make(true);
    await compare([future]);
    expect(known?.newest.get('web')).toBe(future);
    await compare([first, future]);
    expect(known?.newest.get('web')).toBe(first);
    await compare([first, second, future]);
    expect(known?.newest.get('web')).toBe(second);
  });

  test('cause a warning while they are all older than the newest one seen before', async () => {
    await make(true);
    await compare([first, second]);
    await compare([first]);
    await compare([first]);
    expect(events).toMatchObject([{ code: 'store-went-back' }, { code: 'store-went-back' }]);
    expect(known?.newest.get('web')).toBe(second);
    const third = '20261124T030000Z-00000000';
    await compare([first, third]);
    await compare([first, third]);
    expect(events).toHaveLength(3);
  });
});
