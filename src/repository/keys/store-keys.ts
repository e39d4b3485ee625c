import { SEAL_KEY_BYTES } from '../../seal/encrypted-seal.ts';
import type { Seal, SealKey } from '../../seal/seal.ts';
import { sealFor } from '../../seal/seal-for.ts';
import { Failure } from '../../failure.ts';
import { quoteForShell } from '../../quote-for-shell.ts';
import type { BackupStore } from '../../store/store.ts';
import { guestsFolder, markerName } from '../files/layout.ts';
import { readSmallFile } from '../files/small-file.ts';
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

/** A store that may be read and written. */
export interface OpenedStore {
  /** 32 hex digits. */
  id: string;
  key: SealKey;
  seal: Seal;
  /** The id of the key whose passphrase was given; null when the store's key itself was, or none is needed. */
  openedBy: string | null;
}

/** What opens an encrypted store: a passphrase, or the store's own key as `vmferry key export` gives it. */
export type StoreSecret = string | { storeKey: Uint8Array };

/**
 * Gives the passphrase; called only when one is needed. Throws Failure `key-missing` when there is none.
 * @param use `new`: one is being set, so that a person is asked for it twice
 */
export type PassphraseSource = (use: 'open' | 'new') => Promise<StoreSecret>;

/** So many random bytes. */
export type Random = (bytes: number) => Uint8Array;

export interface InitOptions {
  encrypt: boolean;
  /** For tests, which have no time. */
  cost?: ScryptCost;
}

/**
 * Makes a store: chooses its id, and its key when it is to be encrypted. Throws Failure `target-exists` when there is one
 * already, also when somebody else made it at the same moment; `store-damaged` when guests are there but the marker is
 * lost; `usage` for a passphrase that is too short, and what the source of the passphrase throws.
 */
export async function initStore(
  store: BackupStore,
  options: InitOptions,
  passphrase: PassphraseSource,
  random: Random,
  now: () => Date,
  signal: AbortSignal,
): Promise<OpenedStore> {
  refuseExisting(store, await readMarker(store, signal));
  const entries = await store.list('', signal);
  if (entries.some(({ name }) => name === guestsFolder)) throw markerLost(store);
  const id = hex(random(16));
  if (!options.encrypt) {
    await putMarker(store, { id, encryption: null }, signal);
    return { id, key: null, seal: sealFor(null), openedBy: null };
  }
  const secret = await passphrase('new');
  if (typeof secret !== 'string')
    throw new Failure('usage', 'A new store takes a passphrase, not the key of another store.');
  const key = random(SEAL_KEY_BYTES);
  const seal = sealFor(key);
  const file = await wrapStoreKey(key, secret, { ...options, label: '', createdAt: now(), random });
  // The marker is last: what has one can be opened.
  await putKeyFile(store, file, signal);
  try {
    await putMarker(store, { id, encryption: encryptionOf(id, seal) }, signal);
  } catch (error) {
    // Where another's marker stays, this key opens nothing.
    if (error instanceof Failure && error.code === 'target-exists')
      await store.remove(keyFileName(file.id), signal);
    throw error;
  }
  return { id, key, seal, openedBy: file.id };
}

function refuseExisting(store: BackupStore, marker: StoreMarker | null): void {
  if (marker === null) return;
  const kind = marker.encryption === null ? 'not encrypted' : 'encrypted';
  throw new Failure('target-exists', `There is a store at ${store.location} already; it is ${kind}.`, {
    advice: `Nothing was changed. Back up to it: vmferry backup GUEST --to ${quoteForShell(store.location)}`,
  });
}

/**
 * Opens a store. Throws Failure `store-missing` when there is none, `store-unsupported`, `store-damaged`, `key-missing`
 * (the source's), `key-wrong`, and what reading from it throws.
 */
export async function openStore(
  store: BackupStore,
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
  store: BackupStore,
  { id, encryption }: EncryptedMarker,
  passphrase: PassphraseSource,
  signal: AbortSignal,
): Promise<OpenedStore> {
  const secret = await passphrase('open');
  if (typeof secret !== 'string') {
    const seal = sealFor(secret.storeKey);
    if (isSealOf(id, encryption, seal)) return { id, key: secret.storeKey, seal, openedBy: null };
    throw new Failure('key-wrong', `That is not the key of the store ${store.location}.`, {
      advice: `Its text names the store that it opens; this one is ${id}.`,
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
    strange = new Failure('store-damaged', `The key ${file.id} in ${store.location} is another store's.`, {
      advice: 'Files of several stores have been mixed there, or vmferry-store.json has been changed.',
    });
  }
  throw strange ?? damaged ?? noKeyOpens(store);
}

/** Null when there is none. Throws Failure `store-damaged`, `store-unsupported`. */
export async function readMarker(store: BackupStore, signal: AbortSignal): Promise<StoreMarker | null> {
  const text = await readSmallFile(store, markerName, MARKER_LIMIT_BYTES, signal);
  return text === null ? null : parseMarker(text, store.location);
}

/** Throws Failure `target-exists` where another marker is there by now: that stays. */
async function putMarker(store: BackupStore, marker: StoreMarker, signal: AbortSignal): Promise<void> {
  await store.put(markerName, [Buffer.from(markerText(marker))], { signal, keepExisting: true });
  const there = await readMarker(store, signal);
  if (there?.id !== marker.id) refuseExisting(store, there);
}

/** For a store that is not there, or whose directory is not. */
export function noStore(location: string): Failure {
  return new Failure('store-missing', `There is no store of backups at ${location}.`, {
    advice:
      'Check the path, and that what it lies on is mounted. ' +
      `A new store is made by: vmferry init ${quoteForShell(location)} --encrypt (or --no-encrypt)`,
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function noKeyOpens(store: BackupStore): Failure {
  return new Failure('key-wrong', `The passphrase opens none of the keys of the store ${store.location}.`, {
    advice:
      'Is it that of another store? Without any passphrase what `vmferry key export` once printed opens it: --key-file FILE.',
  });
}

function keysLost(store: BackupStore): Failure {
  return new Failure(
    'store-damaged',
    `The store ${store.location} is encrypted, and all of its keys are lost.`,
    {
      advice: 'The key that `vmferry key export` gave opens it: --key-file FILE.',
    },
  );
}

function markerLost(store: BackupStore): Failure {
  return new Failure('store-damaged', `Guests are in ${store.location}, but its ${markerName} is lost.`, {
    advice: 'Put that file back from a copy, or name an empty directory.',
  });
}
