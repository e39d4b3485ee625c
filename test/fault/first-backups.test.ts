import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GuestFolder } from '../../src/repository/guest-folder.ts';
import { openStore } from '../../src/repository/keys/store-keys.ts';
import { openDirectoryStore } from '../../src/store/directory/directory-store.ts';
import type { BackupStore } from '../../src/store/store.ts';
import { BackupWorld, TEST_PASSPHRASE } from '../support/stores/backup-world.ts';
import { seededBytes } from '../support/images/images.ts';

const { signal } = new AbortController();
const MARKER = 'vmferry-store.json';

let one: BackupWorld;
let other: BackupWorld;
beforeEach(() => {
  one = new BackupWorld({ encrypt: true });
  other = new BackupWorld({ encrypt: true });
});
afterEach(async () => {
  await one[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

function makeImage(world: BackupWorld, name: string): string {
  const path = join(world.path, name);
  writeFileSync(path, seededBytes(name.length, 2 ** 20));
  return path;
}

/** The snapshots of a guest. Throws if the passphrase does not open one of them. */
async function readableSnapshots(directory: string, guest: string): Promise<string[]> {
  const store = openDirectoryStore(directory);
  const { seal } = await openStore(store, () => Promise.resolve(TEST_PASSPHRASE), signal);
  const folder = new GuestFolder(store, guest, seal);
  const ids = await folder.snapshotIds(signal);
  for (const id of ids) await folder.readSnapshot(id, signal);
  return ids;
}

describe('two machines that back up into a new store at the same moment', () => {
  /** Makes each of the given stores wait with its marker until all are about to write theirs. */
  function meetingAtMarker(...stores: BackupStore[]): void {
    let letGo: () => void = () => undefined;
    const all = new Promise<void>((resolve) => (letGo = resolve));
    let arrived = 0;
    for (const store of stores) {
      const put = store.put.bind(store);
      store.put = async (name, parts, options) => {
        if (name === MARKER) {
          if (++arrived === stores.length) letGo();
          await all;
        }
        await put(name, parts, options);
      };
    }
  }

  test('both make snapshots that can be read, now and later', async () => {
    const stores = [openDirectoryStore(one.storePath), openDirectoryStore(one.storePath)] as const;
    meetingAtMarker(...stores);
    const images = [makeImage(one, 'web.img'), makeImage(other, 'mail.img')] as const;
    await Promise.all([
      one.backup(images[0], { store: stores[0] }),
      other.backup(images[1], { store: stores[1] }),
    ]);
    await one.backup(images[0], { store: stores[0] });
    await other.backup(images[1], { store: stores[1] });
    expect(await readableSnapshots(one.storePath, 'web.img')).toHaveLength(2);
    expect(await readableSnapshots(one.storePath, 'mail.img')).toHaveLength(2);
    expect(readdirSync(join(one.storePath, 'keys'))).toHaveLength(1);
  });
});

describe('a store that is exchanged while a backup runs', () => {
  /** Calls back when the snapshot was announced, and all data that it needs is in the store. */
  function whenAnnounced(happens: () => void): BackupStore {
    const store = openDirectoryStore(one.storePath);
    const put = store.put.bind(store);
    store.put = async (name, parts, options) => {
      await put(name, parts, options);
      if (name.includes('/announced/')) happens();
    };
    return store;
  }

  test('gets no snapshot that its key does not open', async () => {
    const image = makeImage(one, 'web.img');
    await one.backup(image);
    await other.session();
    const theirs = readFileSync(join(other.storePath, MARKER));
    const store = whenAnnounced(() => writeFileSync(join(one.storePath, MARKER), theirs));
    await expect(one.backup(image, { store })).rejects.toMatchObject({
      code: 'store-damaged',
      message: expect.stringContaining('was exchanged while this backup ran'),
      advice: expect.stringContaining('No snapshot was made.'),
    });
    const guest = join(one.storePath, 'guests', 'web.img');
    expect(readdirSync(join(guest, 'snapshots'))).toHaveLength(1);
    expect(readdirSync(join(guest, 'announced'))).toEqual([]);
  });

  test('gets no snapshot if its marker is gone', async () => {
    const image = makeImage(one, 'web.img');
    const store = whenAnnounced(() => rmSync(join(one.storePath, MARKER)));
    await expect(one.backup(image, { store })).rejects.toMatchObject({ code: 'store-missing' });
  });
});
