import { beforeEach, expect, test } from '@jest/globals';
import { noSeal } from '../../../../src/seal/seal-for.ts';
import type { Event } from '../../../../src/events.ts';
import { listStore } from '../../../../src/operations/stores/list-store.ts';
import { StoreSession } from '../../../../src/operations/store-access/store-session.ts';
import { verifyGuest } from '../../../../src/operations/verify/verify-guest.ts';
import { GuestFolder } from '../../../../src/repository/guest-folder.ts';
import { markerText } from '../../../../src/repository/keys/store-marker.ts';
import { throwAway } from '../../../../src/repository/trash/trash.ts';
import { codeOf } from '../../../support/failures.ts';
import { seededBytes } from '../../../support/images/images.ts';
import { inProcessPool } from '../../../support/in-process-pool.ts';
import { memoryStore } from '../../../support/stores/memory-store.ts';
import { storeSnapshot } from '../../../support/stores/stored-snapshots.ts';

const { signal } = new AbortController();

let store: ReturnType<typeof memoryStore>;
let session: StoreSession;
let folder: GuestFolder;
let events: Event[];
let ids: string[];
const context = { signal, report: (event: Event) => void events.push(event) };

beforeEach(async () => {
  events = [];
  store = memoryStore();
  store.files.set('vmferry-store.json', Buffer.from(markerText({ id: 'ab'.repeat(16), encryption: null })));
  folder = new GuestFolder(store, 'web', noSeal);
  const image = Buffer.from(seededBytes(1, 4 * 65_536));
  ids = [];
  for (const day of ['22', '23']) {
    image[0] = Number(day);
    const at = new Date(`2026-11-${day}T03:00:00Z`);
    ids.push((await storeSnapshot(folder, [{ name: 'web.img', image }], at)).id);
  }
  const options = {
    passphrase: () => Promise.reject(new Error('it is not encrypted')),
    memory: { recall: () => Promise.resolve(null), remember: () => Promise.resolve() },
  };
  session = await StoreSession.open(store, options, context);
});

test('lists what a store has', async () => {
  await folder.mark('protected', ids[0] ?? '', signal);
  const now = () => new Date('2026-11-24T04:00:00Z');
  await verifyGuest(folder, { sealKey: null, readPercent: 100 }, { pool: inProcessPool, now }, context);
  const { guests, isEncrypted } = await listStore(null, session, context);
  expect(isEncrypted).toBe(false);
  expect(guests).toEqual([
    {
      guest: 'web',
      packs: 2,
      storedBytes: expect.any(Number),
      trashBytes: 0,
      damagedFiles: 0,
      snapshots: ids.map((id, index) => ({
        id,
        createdAt: `2026-11-2${index + 2}T03:00:00.000Z`,
        consistency: 'halted',
        host: 'old.example',
        sizeBytes: 4 * 65_536,
        // As early versions wrote it.
        usedBytes: null,
        newBytes: 1,
        isProtected: index === 0,
        state: 'whole',
        checkedAt: '2026-11-24T04:00:00.000Z',
        verifiedAt: '2026-11-24T04:00:00.000Z',
        bootedAt: null,
        problem: null,
      })),
    },
  ]);
});

test('reads no packs, indexes or maps', async () => {
  const read: string[] = [];
  const get = store.get.bind(store);
  store.get = (name, ...more) => {
    read.push(name);
    return get(name, ...more);
  };
  await listStore('web', session, context);
  expect(read.sort()).toEqual(ids.map((id) => `guests/web/snapshots/${id}.json`));
});

test('reports an unreadable manifest, and lists the rest', async () => {
  store.files.set(folder.nameOf('snapshots', ids[0] ?? ''), Buffer.from('{'));
  const [guest] = (await listStore(null, session, context)).guests;
  expect(guest?.snapshots).toMatchObject([
    { id: ids[0], createdAt: '2026-11-22T03:00:00.000Z', state: 'damaged', sizeBytes: null },
    { id: ids[1], state: null, problem: null },
  ]);
  expect(guest?.snapshots[0]?.problem).toContain(ids[0]);
});

test('counts the trash separately', async () => {
  const before = (await listStore(null, session, context)).guests[0];
  const packs = await folder.objects('packs', signal);
  for (const id of packs.keys()) await throwAway(folder, 'packs', id, '20261124T000000Z', signal);
  const after = (await listStore(null, session, context)).guests[0];
  const packBytes = [...packs.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(after?.trashBytes).toBe(packBytes);
  expect(after?.storedBytes).toBe((before?.storedBytes ?? 0) - packBytes);
  expect(after?.packs).toBe(0);
});

test('refuses a guest that the store does not have', async () => {
  expect(await codeOf(() => listStore('mail', session, context))).toBe('snapshot-missing');
});
