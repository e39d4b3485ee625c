/**
 * A place for named bytes: a directory here, or one on an SFTP server. Names are relative, use `/`, and have no
 * empty, `.` or `..` part (Failure `internal` otherwise: names are never taken from outside).
 *
 * The store's own directory may be a symbolic link, for a person has named it. Below it no operation follows a link: where a link,
 * or anything else than an ordinary file or folder, has a name that an operation is given, or that of a folder on the way
 * there, Failure `store-damaged` is thrown, and it stays as it is.
 */
export interface Store extends AsyncDisposable {
  /** For people; holds no secret. */
  location: string;
  /**
   * Stores the bytes under the name, whole or not at all: they are written under a temporary name beside it, made
   * durable where the server can, and renamed. Replaces what was there, unless told to keep it. Folders in the name are made as needed; the
   * store's own directory is not. The parts may be read more than once.
   * Throws Failure `target-full`, `target-not-writable`, `target-missing` (the directory), `connection-lost`
   * (transient) or `transfer-failed`; when aborted, the signal's reason.
   * Afterwards, nothing is left under a temporary name where the connection still allows it.
   */
  put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void>;
  /**
   * The bytes stored under the name, in pieces, or a range of them: fewer where the file ends earlier. Throws Failure
   * `target-missing` when there is no such file.
   */
  get(name: string, signal: AbortSignal, range?: ByteRange): AsyncIterable<Uint8Array>;
  /** Removes what is stored under the name; nothing there is not an error. */
  remove(name: string, signal: AbortSignal): Promise<void>;
}

/**
 * Where a name cannot be given only if it is free, a put that keeps what is there looks first and then renames; others
 * that looked at the same moment have renamed, too, when this time has passed.
 */
export const OVERLAP_MS = 2000;

/** Of folders that a store makes, whatever the umask: nobody but their owner may look into them. */
export const FOLDER_MODE = 0o700;

export interface ByteRange {
  offset: number;
  length: number;
}

/** A store that can also tell what it has and rename it: what backups need. */
export interface BackupStore extends Store {
  /**
   * The files and folders directly in a folder (`''`: the store's own directory), in no order; none where there is no
   * such folder. Temporary names are left out; with `leftovers` only they are given: what broken puts have left, and
   * what running ones still write. They can be removed like files.
   * @param onSome called when some of them have come; a large folder takes its time
   */
  list(
    folder: string,
    signal: AbortSignal,
    which?: 'files' | 'leftovers',
    onSome?: () => void,
  ): Promise<StoreEntry[]>;
  /**
   * Gives a file another name, folders made as needed, and replaces what has it already. False when there is none of the
   * first name.
   */
  rename(from: string, to: string, signal: AbortSignal): Promise<boolean>;
  /** Removes a folder that has become empty; does nothing where it is not, or is not there. */
  removeFolder(folder: string, signal: AbortSignal): Promise<void>;
  /** What the server cannot promise, as sentences for people: files that last through a loss of power, and the like. */
  readonly shortcomings: readonly string[];
}

/** A backup store in a directory of its own, which may not be there yet. */
export interface PlacedStore extends BackupStore {
  /** Whether its own directory is there. */
  exists(signal: AbortSignal): Promise<boolean>;
  /**
   * Makes its own directory, but none above it; one that is there is not an error. Throws Failure `target-missing`
   * (the directory above), `target-not-writable`, `target-full`, `connection-lost` or `transfer-failed`.
   */
  create(signal: AbortSignal): Promise<void>;
}

export interface StoreEntry {
  /** Within the folder: no `/` in it. */
  name: string;
  isFolder: boolean;
  /** Neither an ordinary file nor a folder, but a link, a FIFO, a device: it can be neither read, renamed nor removed. */
  isStrange?: true;
  /** Of a file. */
  sizeBytes: number;
  /** By the server's clock, in milliseconds since 1970; may be whole seconds. */
  modifiedMs: number;
}

export interface PutOptions {
  signal: AbortSignal;
  /** Called as the other side acknowledges bytes; `bytes` counts those since the last call. */
  onWritten?: (bytes: number) => void;
  /**
   * Whether the bytes must survive loss of power once this returns; true unless given. A spool, whose packs are
   * removed as soon as they are read, saves its disk the trouble with false.
   */
  durable?: boolean;
  /**
   * Leave what has the name already as it is, and store nothing then; false unless given. When this returns, the file
   * that is under the name stays: of several that put the same name at once, one has won. Reading it back tells which.
   */
  keepExisting?: boolean;
}
