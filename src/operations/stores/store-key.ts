import { randomBytes } from 'node:crypto';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { wrapStoreKey, type ScryptCost } from '../../repository/keys/store-key-file.ts';
import { keyFileName, MOST_KEYS, putKeyFile, readKeyFiles } from '../../repository/keys/store-key-folder.ts';
import { storeKeyText } from '../../repository/keys/store-key-text.ts';
import type { PassphraseSource } from '../../repository/keys/store-keys.ts';
import type { StoreSession } from '../store-access/store-session.ts';

/** One passphrase that opens a store. The server could have changed the date and the label. */
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
  /** The store's key, to be kept on paper. It opens the whole store. */
  text: string;
}

/** The part of a session that keys need. */
export type KeySession = Pick<StoreSession, 'store' | 'opened'>;

/** The keys of an encrypted store. Like all functions here, it throws Failure `usage` for a plain store. */
export async function listStoreKeys(session: KeySession, context: Context): Promise<KeyListReport> {
  const { store } = encrypted(session);
  const { files, damaged } = await readKeyFiles(store, context.signal);
  if (damaged !== null) context.report({ type: 'warning', code: 'other', message: damaged.message });
  const keys = files.map(({ id, createdAt, label }): StoreKeySummary => ({ id, createdAt, label }));
  return { type: 'keys', store: store.location, keys };
}

/** Adds a passphrase that opens the store. */
export async function addStoreKey(
  session: KeySession,
  newPassphrase: PassphraseSource,
  options: { label: string; cost?: ScryptCost },
  { signal }: Pick<Context, 'signal'>,
): Promise<KeyChangeReport> {
  const { store, key } = encrypted(session);
  const { files } = await readKeyFiles(store, signal);
  if (files.length >= MOST_KEYS)
    throw new Failure(
      'usage',
      `The store ${store.location} already has ${MOST_KEYS} keys, which is the limit: remove one first.`,
    );
  const secret = await newPassphrase('new');
  if (typeof secret !== 'string')
    throw new Failure('usage', 'Adding a key needs a new passphrase, not the key of a store.');
  const file = await wrapStoreKey(key, secret, { ...options, createdAt: new Date(), random: randomBytes });
  await putKeyFile(store, file, signal);
  return { type: 'key-added', store: store.location, key: file.id };
}

/**
 * Removes a passphrase. The store must have been opened by another one, which proves that it can still be opened afterwards.
 * Throws Failure `usage` otherwise, and for the last key.
 */
export async function removeStoreKey(
  session: KeySession,
  id: string,
  { signal }: Pick<Context, 'signal'>,
): Promise<KeyChangeReport> {
  const { store, openedBy } = encrypted(session);
  const { files } = await readKeyFiles(store, signal);
  if (!files.some((file) => file.id === id))
    throw new Failure('usage', `The store ${store.location} has no key ${id}.`, {
      advice: `To see the keys: vmferry key list ${store.location}`,
    });
  if (files.length === 1)
    throw new Failure('usage', `${id} is the last key of the store ${store.location}.`, {
      advice: `Without a key nothing can be restored. Add another one first: vmferry key add ${store.location}`,
    });
  if (openedBy === id)
    throw new Failure('usage', `The given passphrase is that of the key ${id}.`, {
      advice: 'Give the passphrase of a key that stays. This proves that the store can still be opened.',
    });
  await store.remove(keyFileName(id), signal);
  return { type: 'key-removed', store: store.location, key: id };
}

/** The store's own key, as text that `parseStoreKeyText` reads. */
export function exportStoreKey(session: KeySession): KeyExportReport {
  const { store, key } = encrypted(session);
  const text = storeKeyText({ storeId: session.opened.id, key });
  return { type: 'key-export', store: store.location, text };
}

function encrypted({ store, opened: { key, openedBy } }: KeySession) {
  if (key === null)
    throw new Failure('usage', `The store ${store.location} is not encrypted: it has no keys.`);
  return { store, key, openedBy };
}
