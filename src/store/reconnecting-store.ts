import { Failure } from '../failure.ts';
import { splitName } from './store-name.ts';
import type { BackupStore, ByteRange, PutOptions, StoreEntry } from './store.ts';
import { untilAborted } from '../pipeline/until-aborted.ts';

export interface ReconnectOptions {
  /** How long to wait before each repetition of an operation. After the last repetition its failure is final. */
  waitsMs: readonly number[];
  /** Throws the signal's reason when it is aborted. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called once for every lost connection. */
  onLost?: (failure: Failure, waitMs: number) => void;
}

/**
 * A store that survives the loss of its connection. If an operation fails with a transient Failure, the store is opened again and
 * the operation is repeated. A read continues after the last byte received. The first opening is not repeated. Disposing it
 * disposes the store that is open at that time.
 */
export async function reconnectingStore(
  open: () => Promise<BackupStore>,
  options: ReconnectOptions,
): Promise<BackupStore> {
  return new ReconnectingStore(await open(), open, options);
}

class ReconnectingStore implements BackupStore {
  readonly location: string;
  readonly shortcomings: readonly string[];
  readonly #open: () => Promise<BackupStore>;
  readonly #options: ReconnectOptions;
  #line: Promise<BackupStore>;
  /** The last connection that was reported to `onLost`. */
  #lost: Promise<BackupStore> | null = null;
  #isDisposed = false;

  constructor(first: BackupStore, open: () => Promise<BackupStore>, options: ReconnectOptions) {
    this.location = first.location;
    this.shortcomings = first.shortcomings;
    this.#open = open;
    this.#options = options;
    this.#line = Promise.resolve(first);
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    let toldBytes = 0;
    await this.#persist(options.signal, (store) => {
      let writtenBytes = 0;
      return store.put(name, parts, {
        ...options,
        // Do not count bytes that are sent again.
        onWritten: (bytes) => {
          writtenBytes += bytes;
          if (writtenBytes <= toldBytes) return;
          options.onWritten?.(writtenBytes - toldBytes);
          toldBytes = writtenBytes;
        },
      });
    });
  }

  async *get(name: string, signal: AbortSignal, range?: ByteRange): AsyncGenerator<Uint8Array> {
    const offset = range?.offset ?? 0;
    const end = range === undefined ? Number.MAX_SAFE_INTEGER : offset + range.length;
    let position = offset;
    for (let failures = 0; ;) {
      const line = this.#line;
      try {
        const store = await untilAborted(signal, () => line);
        const rest = position === offset ? range : { offset: position, length: end - position };
        for await (const piece of store.get(name, signal, rest)) {
          position += piece.byteLength;
          failures = 0;
          yield piece;
        }
        return;
      } catch (error) {
        await this.#afterFailure(error, failures++, line, signal);
      }
      if (position === end) return;
    }
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#persist(signal, (store) => store.remove(name, signal));
  }

  list(
    folder: string,
    signal: AbortSignal,
    which?: 'files' | 'leftovers',
    onSome?: () => void,
  ): Promise<StoreEntry[]> {
    return this.#persist(signal, (store) => store.list(folder, signal, which, onSome));
  }

  rename(from: string, to: string, signal: AbortSignal): Promise<boolean> {
    return this.#persist(signal, async (store, failures) => {
      if (await store.rename(from, to, signal)) return true;
      // The connection may have been lost after the server had renamed it.
      return failures > 0 && (await isThere(store, to, signal));
    });
  }

  async removeFolder(folder: string, signal: AbortSignal): Promise<void> {
    await this.#persist(signal, (store) => store.removeFolder(folder, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    const store = await this.#line.catch(() => null);
    await store?.[Symbol.asyncDispose]();
  }

  async #persist<Result>(
    signal: AbortSignal,
    work: (store: BackupStore, failures: number) => Promise<Result>,
  ): Promise<Result> {
    for (let failures = 0; ; failures++) {
      const line = this.#line;
      try {
        return await work(await untilAborted(signal, () => line), failures);
      } catch (error) {
        await this.#afterFailure(error, failures, line, signal);
      }
    }
  }

  /**
   * Throws the error if it is final. Otherwise waits, and makes sure that a new connection is opened in place of the
   * failed one. If several operations failed with it, only one of them opens the new one.
   */
  async #afterFailure(
    error: unknown,
    failures: number,
    line: Promise<BackupStore>,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    const waitMs = this.#options.waitsMs[failures];
    const isWorthAnother = error instanceof Failure && error.transient && !this.#isDisposed;
    if (!isWorthAnother || waitMs === undefined) throw error;
    if (this.#lost !== line) {
      this.#lost = line;
      this.#options.onLost?.(error, waitMs);
    }
    await this.#options.sleep(waitMs, signal);
    if (this.#line !== line || this.#isDisposed) return;
    void line.then(async (store) => store[Symbol.asyncDispose]()).catch(() => undefined);
    this.#line = this.#open();
    // Operations that wait for it handle its failure.
    this.#line.catch(() => undefined);
  }
}

async function isThere(store: BackupStore, name: string, signal: AbortSignal): Promise<boolean> {
  const { folder, base } = splitName(name);
  return (await store.list(folder, signal)).some((entry) => entry.name === base);
}
