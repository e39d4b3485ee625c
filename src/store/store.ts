/**
 * A place for named bytes: a directory here, or one on an SFTP server. Names are relative, use `/`, and have no
 * empty, `.` or `..` part (Failure `internal` otherwise: names are never taken from outside).
 */
export interface Store extends AsyncDisposable {
  /** For people; holds no secret. */
  location: string;
  /**
   * Stores the bytes under the name, whole or not at all: they are written under a temporary name beside it, made
   * durable where the server can, and renamed. Replaces what was there. Folders in the name are made as needed; the
   * store's own directory is not. The parts may be read more than once.
   * Throws Failure `target-full`, `target-not-writable`, `target-missing` (the directory), `connection-lost`
   * (transient) or `transfer-failed`; when aborted, the signal's reason.
   * Afterwards, nothing is left under a temporary name where the connection still allows it.
   */
  put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void>;
  /** The bytes stored under the name, in pieces. Throws Failure `target-missing` when there are none. */
  get(name: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Removes what is stored under the name; nothing there is not an error. */
  remove(name: string, signal: AbortSignal): Promise<void>;
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
}
