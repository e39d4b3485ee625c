import { randomBytes } from 'node:crypto';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import { wrapStoreKey, type ScryptCost } from '../repository/store-key-file.ts';
import { keyFileName, MOST_KEYS, putKeyFile, readKeyFiles } from '../repository/store-key-folder.ts';
import { storeKeyText } from '../repository/store-key-text.ts';
import { readMarker, unlock, type PassphraseSource } from '../repository/store-keys.ts';
import type { EncryptedMarker } from '../repository/store-marker.ts';
import type { StoreMemory } from '../repository/store-memory.ts';
import type { BackupStore } from '../store/store.ts';
import { openKnownStore } from './known-store.ts';

/** One passphrase that opens a store. What is said of it, the server could have changed. */
export interface StoreKeySummary {
  id: string;
  createdAt: string;
  label: string;
}

export interface KeyListReport {
  type: 'keys';
  store: string;
  keys: StoreKeySummary[];
}

export interface KeyChangeReport {
  type: 'key-added' | 'key-removed';
  store: string;
  key: string;
}

export interface KeyExportReport {
  type: 'key-export';
  store: string;
  /** The store's key, to be kept on paper: it opens everything. */
  text: string;
}

export interface KeyEnvironment {
  store: BackupStore;
  memory: StoreMemory;
  passphrase: PassphraseSource;
  context: Context;
}

/** The keys of an encrypted store; needs no passphrase. Throws Failure `usage` for a plain one. */
export async function listStoreKeys({ store, context }: Pick<KeyEnvironment, 'store' | 'context'>) {
  await encryptedMarker(store, context);
  const { files, damaged } = await readKeyFiles(store, context.signal);
  if (damaged !== null) context.report({ type: 'warning', code: 'other', message: damaged.message });
  const keys = files.map(({ id, createdAt, label }): StoreKeySummary => ({ id, createdAt, label }));
  return { type: 'keys', store: store.location, keys } satisfies KeyListReport;
}

/** Lets a further passphrase open the store. */
export async function addStoreKey(
  environment: KeyEnvironment,
  newPassphrase: PassphraseSource,
  options: { label: string; cost?: ScryptCost },
): Promise<KeyChangeReport> {
  const { store, context } = environment;
  const { key, files } = await unlocked(environment);
  if (files.length >= MOST_KEYS)
    throw new Failure(
      'usage',
      `The store ${store.location} has ${MOST_KEYS} keys already: remove one first.`,
    );
  const secret = await newPassphrase('new');
  if (typeof secret !== 'string')
    throw new Failure('usage', 'A key is added by a new passphrase, not by the key of a store.');
  const file = await wrapStoreKey(key, secret, { ...options, createdAt: new Date(), random: randomBytes });
  await putKeyFile(store, file, context.signal);
  return { type: 'key-added', store: store.location, key: file.id };
}

/**
 * Takes one passphrase's way into the store away. The passphrase that is given must be another one's, so that nobody
 * shuts themselves out: Failure `usage` otherwise, and for the last key.
 */
export async function removeStoreKey(environment: KeyEnvironment, id: string): Promise<KeyChangeReport> {
  const { store, context } = environment;
  const { openedBy, files } = await unlocked(environment);
  if (!files.some((file) => file.id === id))
    throw new Failure('usage', `The store ${store.location} has no key ${id}.`, {
      advice: `See which it has: vmferry key list ${store.location}`,
    });
  if (files.length === 1)
    throw new Failure('usage', `${id} is the last key of the store ${store.location}.`, {
      advice: `Without a key nothing can be restored. Add another one first: vmferry key add ${store.location}`,
    });
  if (openedBy === id)
    throw new Failure('usage', `${id} is the key that this passphrase opens.`, {
      advice: 'Give the passphrase of a key that stays: so it is certain that the store can still be opened.',
    });
  await store.remove(keyFileName(id), context.signal);
  return { type: 'key-removed', store: store.location, key: id };
}

/** The store's own key, as text that `--key-file` reads. */
export async function exportStoreKey(environment: KeyEnvironment): Promise<KeyExportReport> {
  const { id, key } = await unlocked(environment);
  const text = storeKeyText({ storeId: id, key });
  return { type: 'key-export', store: environment.store.location, text };
}

async function unlocked({ store, memory, passphrase, context }: KeyEnvironment) {
  const marker = await encryptedMarker(store, context);
  const open = () => unlock(store, marker, passphrase, context.signal);
  const opened = await openKnownStore(store, open, memory, context);
  const { files } = await readKeyFiles(store, context.signal);
  return { ...opened, files };
}

async function encryptedMarker(store: BackupStore, { signal }: Context): Promise<EncryptedMarker> {
  const marker = await readMarker(store, signal);
  if (marker === null)
    throw new Failure('store-missing', `There is no store of backups at ${store.location}.`, {
      advice: 'Check the path, and that what lies there is mounted.',
    });
  const { id, encryption } = marker;
  if (encryption === null)
    throw new Failure('usage', `The store ${store.location} is not encrypted: it has no keys.`);
  return { id, encryption };
}
