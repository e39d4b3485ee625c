import type { BackupStore, ByteRange, PutOptions, StoreEntry } from '../../../src/store/store.ts';

/** An operation that changed a store. */
export type StoreOperation =
  | { type: 'put'; name: string; bytes: Buffer; keepExisting: boolean }
  | { type: 'remove'; name: string }
  | { type: 'rename'; from: string; to: string }
  | { type: 'removeFolder'; folder: string };

const never = new AbortController().signal;

/**
 * A store that records all changes with their bytes, in the order of acknowledgement. `replay(operations.slice(0, n), store)` on
 * an empty store gives the state after a loss of power after the nth operation, if every operation is durable.
 */
export class RecordingStore implements BackupStore {
  readonly operations: StoreOperation[] = [];
  readonly location: string;
  readonly shortcomings: readonly string[];
  readonly #inner: BackupStore;

  constructor(inner: BackupStore) {
    this.#inner = inner;
    this.location = inner.location;
    this.shortcomings = inner.shortcomings;
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    // Copy: the caller may reuse its memory.
    const bytes = Buffer.concat(parts);
    await this.#inner.put(name, [bytes], options);
    this.operations.push({ type: 'put', name, bytes, keepExisting: options.keepExisting === true });
  }

  get(name: string, signal: AbortSignal, range?: ByteRange): AsyncIterable<Uint8Array> {
    return this.#inner.get(name, signal, range);
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#inner.remove(name, signal);
    this.operations.push({ type: 'remove', name });
  }

  list(folder: string, signal: AbortSignal, which?: 'files' | 'leftovers'): Promise<StoreEntry[]> {
    return this.#inner.list(folder, signal, which);
  }

  async rename(from: string, to: string, signal: AbortSignal): Promise<boolean> {
    const isMoved = await this.#inner.rename(from, to, signal);
    if (isMoved) this.operations.push({ type: 'rename', from, to });
    return isMoved;
  }

  async removeFolder(folder: string, signal: AbortSignal): Promise<void> {
    await this.#inner.removeFolder(folder, signal);
    this.operations.push({ type: 'removeFolder', folder });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}

/** Repeats recorded operations, in order. */
export async function replay(operations: Iterable<StoreOperation>, store: BackupStore): Promise<void> {
  for (const operation of operations) {
    if (operation.type === 'put') {
      const { name, bytes, keepExisting } = operation;
      await store.put(name, [bytes], { signal: never, keepExisting });
    } else if (operation.type === 'remove') await store.remove(operation.name, never);
    else if (operation.type === 'rename') await store.rename(operation.from, operation.to, never);
    else await store.removeFolder(operation.folder, never);
  }
}
