/**
 * How a store keeps what is in it from being read or changed: an encrypted one by doc/encryption.md, others not at all.
 * Synchronous; worker threads make their own from the key (`sealFor`).
 */
export interface Seal {
  /** Ends the names of sealed files and pack members: `.sealed`, or nothing. */
  suffix: '' | '.sealed';
  /**
   * @param purpose what the bytes are, and which (`sealPurpose`): they open for the same purpose only
   */
  seal(purpose: string, plain: Uint8Array): Uint8Array;
  /** Throws Failure `store-damaged` for anything but what was sealed with this key for this purpose. */
  open(purpose: string, sealed: Uint8Array): Uint8Array;
  /** 64 hex digits that name this text: its SHA-256, or a keyed hash. */
  nameOf(text: Uint8Array): string;
}

/** The store's own key, 32 bytes; null for a store that is not encrypted. */
export type SealKey = Uint8Array | null;

/** What sealed bytes are: part of the format (doc/encryption.md). */
export const sealPurpose = {
  /** A snapshot's manifest. */
  snapshot: (guest: string, id: string) => `snapshot ${guest} ${id}`,
  /** A page of a chunk map. */
  page: (guest: string) => `page ${guest}`,
  index: (guest: string) => `index ${guest}`,
  /** What `vmferry verify` remembers. */
  checked: (guest: string) => `checked ${guest}`,
  /** The members of a pack. Chunks are compared with their ids, so which member it is need not be bound. */
  table: 'table',
  frame: 'frame',
  /** What tells in a store's marker that a key is this store's. */
  marker: 'marker',
  /** The store's key itself, under a key made from a passphrase. */
  key: 'key',
} as const;
