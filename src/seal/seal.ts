/**
 * Encrypts and authenticates the files of a store (doc/encryption.md); does nothing in a store that is not encrypted. Synchronous;
 * worker threads make their own from the key (`sealFor`).
 */
export interface Seal {
  /** The suffix of sealed files and pack members. */
  suffix: '' | '.sealed';
  /** @param purpose what the bytes are (`sealPurpose`): they can be opened only for the same purpose */
  seal(purpose: string, plain: Uint8Array): Uint8Array;
  /** Throws Failure `store-damaged` unless the bytes were sealed with this key for this purpose. */
  open(purpose: string, sealed: Uint8Array): Uint8Array;
  /** A name for this text, 64 hex digits: its SHA-256, or a keyed hash. */
  nameOf(text: Uint8Array): string;
}

/** The key of the store, 32 bytes; null when the store is not encrypted. */
export type SealKey = Uint8Array | null;

/** The purposes of sealed bytes: part of the format (doc/encryption.md). */
export const sealPurpose = {
  /** A snapshot's manifest. */
  snapshot: (guest: string, id: string) => `snapshot ${guest} ${id}`,
  /** A page of a chunk map. */
  page: (guest: string) => `page ${guest}`,
  index: (guest: string) => `index ${guest}`,
  /** What `vmferry verify` remembers. */
  checked: (guest: string) => `checked ${guest}`,
  /** Members of packs. The purpose need not name the member: chunks are compared with their ids. */
  table: 'table',
  frame: 'frame',
  /** The text in a store's marker that tells whether a key is the store's. */
  marker: 'marker',
  /** The store's key, sealed with a key that is made from a passphrase. */
  key: 'key',
} as const;
