/**
 * A store that can be read. A store is a place for named bytes: a directory here, or one on an SFTP server. Names are relative,
 * use `/`, and have no empty, `.` or `..` part (Failure `internal` otherwise: names never come from outside).
 *
 * The store's own directory may be a symbolic link, because the user has named it. Below it no operation follows links: if a name
 * given to an operation, or a folder on the way to it, is a link or anything but an ordinary file or folder, Failure
 * `store-damaged` is thrown, and nothing is changed.
 */
export interface ReadableStore {
  /** For messages; contains no secret. */
  location: string;
  /**
   * The bytes stored under the name, in pieces, or a range of them; fewer if the file ends earlier. Throws Failure
   * `target-missing` if there is no such file.
   */
  get(name: string, signal: AbortSignal, range?: ByteRange): AsyncIterable<Uint8Array>;
  /**
   * The files and folders directly in a folder (`''`: the store's own directory), in any order; none if there is no
   * such folder. Temporary names are left out. With `leftovers` only temporary names are listed: left by broken puts,
   * or in use by running ones. They can be removed like files.
   * @param onSome called for each part of the listing; a large folder takes time
   */
  list(
    folder: string,
    signal: AbortSignal,
    which?: 'files' | 'leftovers',
    onSome?: () => void,
  ): Promise<StoreEntry[]>;
}

/** A store that can also be written: what a spool of packs needs. */
export interface Store extends ReadableStore, AsyncDisposable {
  /**
   * Stores the bytes under the name, completely or not at all: writes them under a temporary name in the same folder, makes them
   * durable if the server can, and renames them. Replaces an existing file unless told to keep it. Makes the folders on the way,
   * but not the store's own directory. The parts may be read more than once.
   * Throws Failure `target-full`, `target-not-writable`, `target-missing` (the directory), `connection-lost`
   * (transient) or `transfer-failed`; if aborted, the signal's reason.
   * Afterwards no temporary file is left, if the connection still allows its removal.
   */
  put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void>;
  /** Removes what is stored under the name. Does nothing if there is nothing. */
  remove(name: string, signal: AbortSignal): Promise<void>;
}

/**
 * Without an atomic way to take a free name, a put with `keepExisting` looks first and then renames. After this time, others that
 * looked at the same moment have renamed as well.
 */
export const OVERLAP_MS = 2000;

/** Mode of folders that a store makes, whatever the umask: only their owner has access. */
export const FOLDER_MODE = 0o700;

export interface ByteRange {
  offset: number;
  length: number;
}

/** A store with all that backups and prunes need. */
export interface BackupStore extends Store {
  /**
   * Renames a file, makes the folders on the way, and replaces an existing file of that name. Returns false if there is no file
   * to rename.
   */
  rename(from: string, to: string, signal: AbortSignal): Promise<boolean>;
  /** Removes an empty folder. Does nothing if it is not empty, or is not there. */
  removeFolder(folder: string, signal: AbortSignal): Promise<void>;
  /** What the server cannot promise, for example files that survive a loss of power; as sentences for the user. */
  readonly shortcomings: readonly string[];
}

/** A backup store in a directory that may not exist yet. */
export interface PlacedStore extends BackupStore {
  /** Whether its own directory is there. */
  exists(signal: AbortSignal): Promise<boolean>;
  /**
   * Makes its own directory, but none above it. Does nothing if it exists. Throws Failure `target-missing`
   * (the directory above), `target-not-writable`, `target-full`, `connection-lost` or `transfer-failed`.
   */
  create(signal: AbortSignal): Promise<void>;
}

export interface StoreEntry {
  /** Within the folder, without `/`. */
  name: string;
  isFolder: boolean;
  /** A link, a FIFO, a device: it cannot be read, renamed or removed. */
  isStrange?: true;
  /** For files. */
  sizeBytes: number;
  /** By the server's clock, in milliseconds since 1970; may be whole seconds. */
  modifiedMs: number;
}

export interface PutOptions {
  signal: AbortSignal;
  /** Called when the other side acknowledges bytes; `bytes` counts those since the last call. */
  onWritten?: (bytes: number) => void;
  /**
   * Whether the bytes must survive a loss of power once this returns; true unless given. False spares the disk of a spool, whose
   * packs are removed as soon as they were read.
   */
  durable?: boolean;
  /**
   * Store nothing if the name is taken; false unless given. When this returns, the file under the name is final: of several puts
   * of one name at the same time, one has won. Reading it back shows which.
   */
  keepExisting?: boolean;
}
