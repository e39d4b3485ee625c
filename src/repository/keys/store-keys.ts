import { SEAL_KEY_BYTES } from '../../seal/encrypted-seal.ts';
import type { Seal, SealKey } from '../../seal/seal.ts';
import { sealFor } from '../../seal/seal-for.ts';
import { Failure } from '../../failure.ts';
import { quoteForShell } from '../../quote-for-shell.ts';
import type { BackupStore, ReadableStore } from '../../store/store.ts';
import { guestsFolder, markerName } from '../files/layout.ts';
import { readSmallText } from '../files/small-file.ts';
import { unwrapStoreKey, wrapStoreKey, type ScryptCost } from './store-key-file.ts';
import { keyFileName, putKeyFile, readKeyFiles } from './store-key-folder.ts';
import {
  encryptionOf,
  isSealOf,
  MARKER_LIMIT_BYTES,
  markerText,
  parseMarker,
  type StoreMarker,
  type EncryptedMarker,
} from './store-marker.ts';

/** The identity and the keys of a store that was opened. */
export interface OpenedStore {
  /** 32 hex digits. */
  id: string;
  key: SealKey;
  seal: Seal;
  /** The id of the key that the passphrase opened; null if the store's own key was given, or the store is not encrypted. */
  openedBy: string | null;
}

/** What opens an encrypted store: a passphrase, or the store's own key, as `vmferry key export` prints it. */
export type StoreSecret = string | { storeKey: Uint8Array };

/**
 * Gives the passphrase; called only if one is needed. Throws Failure `key-missing` if there is none.
 * @param use `new`: a new passphrase is set, so the user is asked for it twice
 */
export type PassphraseSource = (use: 'open' | 'new') => Promise<StoreSecret>;

/** Gives this number of random bytes. */
export type Random = (bytes: number) => Uint8Array;

export interface InitOptions {
  encrypt: boolean;
  random: Random;
  now: () => Date;
  /** A lower cost makes tests fast. */
  cost?: ScryptCost;
}

/**
 * Makes a store: chooses its id, and a key if it is to be encrypted. Throws Failure `target-exists` if there is a store already,
 * even if it was made at the same moment; `store-missing` if the new marker is gone at once; `store-damaged` if there are guests but
 * no marker; `usage` for a passphrase that is too short; and what the source of the passphrase throws.
 */
export async function initStore(
  store: BackupStore,
  { encrypt, cost, random, now }: InitOptions,
  passphrase: PassphraseSource,
  signal: AbortSignal,
): Promise<OpenedStore> {
  refuseExisting(store, await readMarker(store, signal));
  const entries = await store.list('', signal);
  if (entries.some(({ name }) => name === guestsFolder)) throw markerLost(store);
  const id = hex(random(16));
  if (!encrypt) {
    await putMarker(store, { id, encryption: null }, signal);
    return { id, key: null, seal: sealFor(null), openedBy: null };
  }
  const secret = await passphrase('new');
  if (typeof secret !== 'string')
    throw new Failure('usage', 'A new store needs a passphrase, not the key of another store.');
  const key = random(SEAL_KEY_BYTES);
  const seal = sealFor(key);
  const file = await wrapStoreKey(key, secret, {
    label: '',
    createdAt: now(),
    random,
    ...(cost === undefined ? {} : { cost }),
  });
  // The marker is written last: every store that has one can be opened.
  await putKeyFile(store, file, signal);
  try {
    await putMarker(store, { id, encryption: encryptionOf(id, seal) }, signal);
  } catch (error) {
    // The marker is that of another process, or gone: this key opens nothing.
    if (error instanceof Failure && ['target-exists', 'store-missing'].includes(error.code))
      await store.remove(keyFileName(file.id), signal);
    throw error;
  }
  return { id, key, seal, openedBy: file.id };
}

function refuseExisting(store: ReadableStore, marker: StoreMarker | null): void {
  if (marker === null) return;
  const kind = marker.encryption === null ? 'not encrypted' : 'encrypted';
  throw new Failure('target-exists', `There is already a store at ${store.location}; it is ${kind}.`, {
    advice: `Nothing was changed. Back up to it: vmferry backup GUEST --to ${quoteForShell(store.location)}`,
  });
}

/**
 * Opens a store. Throws Failure `store-missing` if there is none, `store-unsupported`, `store-damaged`, `key-missing` (from the
 * passphrase source), `key-wrong`, and what reading from the store throws.
 */
export async function openStore(
  store: ReadableStore,
  passphrase: PassphraseSource,
  signal: AbortSignal,
): Promise<OpenedStore> {
  const marker = await readMarker(store, signal);
  if (marker === null) throw noStore(store.location);
  const { id, encryption } = marker;
  if (encryption === null) return { id, key: null, seal: sealFor(null), openedBy: null };
  return unlock(store, { id, encryption }, passphrase, signal);
}

async function unlock(
  store: ReadableStore,
  { id, encryption }: EncryptedMarker,
  passphrase: PassphraseSource,
  signal: AbortSignal,
): Promise<OpenedStore> {
  const secret = await passphrase('open');
  if (typeof secret !== 'string') {
    const seal = sealFor(secret.storeKey);
    if (isSealOf(id, encryption, seal)) return { id, key: secret.storeKey, seal, openedBy: null };
    throw new Failure('key-wrong', `The given key is not that of the store ${store.location}.`, {
      advice: `The line ‘store’ of a key’s text has the id of its store. The id of this store: ${id}`,
    });
  }
  const { files, damaged } = await readKeyFiles(store, signal);
  if (files.length === 0 && damaged === null) throw keysLost(store);
  let strange: Failure | null = null;
  for (const file of files) {
    signal.throwIfAborted();
    const key = await unwrapStoreKey(file, secret);
    if (key === null) continue;
    const seal = sealFor(key);
    if (isSealOf(id, encryption, seal)) return { id, key, seal, openedBy: file.id };
    strange = new Failure(
      'store-damaged',
      `The key ${file.id} in ${store.location} belongs to another store.`,
      {
        advice: 'Files of several stores were mixed there, or vmferry-store.json was changed.',
      },
    );
  }
  throw strange ?? damaged ?? noKeyOpens(store);
}

/** Null if there is no marker. Throws Failure `store-damaged`, `store-unsupported`. */
export async function readMarker(store: ReadableStore, signal: AbortSignal): Promise<StoreMarker | null> {
  const text = await readSmallText(store, markerName, MARKER_LIMIT_BYTES, signal);
  return text === null ? null : parseMarker(text, store.location);
}

/** Throws Failure `target-exists` if another process has put its marker, which stays; `store-missing` if the marker is gone. */
async function putMarker(store: BackupStore, marker: StoreMarker, signal: AbortSignal): Promise<void> {
  await store.put(markerName, [Buffer.from(markerText(marker))], { signal, keepExisting: true });
  const there = await readMarker(store, signal);
  if (there === null) throw markerGone(store);
  if (there.id !== marker.id) refuseExisting(store, there);
}

/** For a store that does not exist, or whose directory does not. */
export function noStore(location: string): Failure {
  return new Failure('store-missing', `There is no store of backups at ${location}.`, {
    advice:
      'Check the path, and that its file system is mounted. ' +
      `To make a new store: vmferry init ${quoteForShell(location)} --encrypt (or --no-encrypt)`,
  });
}

function markerGone(store: BackupStore): Failure {
  return new Failure('store-missing', `The new store ${store.location} has lost its ${markerName} already.`, {
    advice:
      'Check that its file system is mounted, and that no other program removes files there. Then make it again.',
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function noKeyOpens(store: ReadableStore): Failure {
  return new Failure('key-wrong', `The passphrase opens none of the keys of the store ${store.location}.`, {
    advice:
      'Check that it is not the passphrase of another store. If you kept the output of `vmferry key export`, use it: --key-file FILE',
  });
}

function keysLost(store: ReadableStore): Failure {
  return new Failure(
    'store-damaged',
    `The store ${store.location} is encrypted, and all of its keys are lost.`,
    {
      advice: 'If you kept the output of `vmferry key export`, use it: --key-file FILE',
    },
  );
}

function markerLost(store: ReadableStore): Failure {
  return new Failure(
    'store-damaged',
    `There are guests in ${store.location}, but its ${markerName} is lost.`,
    {
      advice: 'Restore that file from a copy, or name an empty directory.',
    },
  );
}
