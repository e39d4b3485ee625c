import { Failure } from '../../../src/failure.ts';
import type { BackupStore, ByteRange, PutOptions, StoreEntry } from '../../../src/store/store.ts';
import { seededRandom } from '../seeded-random.ts';

/** The probabilities of faults: 0 never (unless given), 1 always. */
export interface StoreFaults {
  /** Any operation fails with a transient `connection-lost`, before or after it was done. */
  fail?: number;
  /** Any operation hangs until it is aborted. */
  stall?: number;
  /** A put reports success, but stores only the beginning. */
  truncate?: number;
  /** A listed file has a wrong size. */
  lieAboutSizes?: number;
}

/** A put that a loss of power may undo, and the previous content. */
interface UndoablePut {
  /** Its current name: renames are followed. */
  name: string;
  before: Buffer | null;
}

const never = new AbortController().signal;

/**
 * A store with random faults, determined by a seed. `faults` may be changed while it is in use (`{}`: no faults); `log` has the
 * faults in order. `losePower(n)` undoes the last n puts, like a machine that acknowledged them without writing them through.
 * Tests that use it print the seed.
 */
export class FaultyStore implements BackupStore {
  faults: StoreFaults;
  readonly log: string[] = [];
  readonly location: string;
  readonly shortcomings: readonly string[];
  readonly #inner: BackupStore;
  readonly #random: () => number;
  readonly #puts: UndoablePut[] = [];

  constructor(inner: BackupStore, seed: number, faults: StoreFaults = {}) {
    this.#inner = inner;
    this.#random = seededRandom(seed);
    this.faults = faults;
    this.location = inner.location;
    this.shortcomings = inner.shortcomings;
  }

  async put(name: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    const before = await readIfThere(this.#inner, name);
    await this.#meddling(`put ${name}`, options.signal, async () => {
      this.#puts.push({ name, before });
      if (!this.#happens(this.faults.truncate)) {
        await this.#inner.put(name, parts, options);
        return;
      }
      const bytes = Buffer.concat(parts);
      const kept = Math.floor(this.#random() * bytes.length);
      this.log.push(`put ${name} stored ${kept} bytes of ${bytes.length}`);
      await this.#inner.put(name, [bytes.subarray(0, kept)], options);
    });
  }

  async *get(name: string, signal: AbortSignal, range?: ByteRange): AsyncGenerator<Uint8Array> {
    await this.#meddling(`get ${name}`, signal, () => Promise.resolve());
    for await (const piece of this.#inner.get(name, signal, range)) {
      yield piece;
      // A read may also fail in the middle.
      await this.#meddling(`go on with get ${name}`, signal, () => Promise.resolve());
    }
  }

  remove(name: string, signal: AbortSignal): Promise<void> {
    return this.#meddling(`remove ${name}`, signal, () => this.#inner.remove(name, signal));
  }

  async list(folder: string, signal: AbortSignal, which?: 'files' | 'leftovers'): Promise<StoreEntry[]> {
    const entries = await this.#meddling(`list ${folder}`, signal, () =>
      this.#inner.list(folder, signal, which),
    );
    return entries.map((entry) => {
      if (entry.isFolder || !this.#happens(this.faults.lieAboutSizes)) return entry;
      const sizeBytes = entry.sizeBytes + 1 + Math.floor(this.#random() * 1000);
      this.log.push(`list ${folder} said ${entry.name} has ${sizeBytes} bytes, not ${entry.sizeBytes}`);
      return { ...entry, sizeBytes };
    });
  }

  rename(from: string, to: string, signal: AbortSignal): Promise<boolean> {
    return this.#meddling(`rename ${from} ${to}`, signal, async () => {
      const isMoved = await this.#inner.rename(from, to, signal);
      if (isMoved) for (const put of this.#puts) if (put.name === from) put.name = to;
      return isMoved;
    });
  }

  removeFolder(folder: string, signal: AbortSignal): Promise<void> {
    return this.#meddling(`remove folder ${folder}`, signal, () => this.#inner.removeFolder(folder, signal));
  }

  /** Undoes the last puts: their content is gone, and the replaced content is back. */
  async losePower(lastPuts: number): Promise<void> {
    const lost = this.#puts.splice(Math.max(0, this.#puts.length - lastPuts)).toReversed();
    for (const { name, before } of lost) {
      this.log.push(`lost ${name}`);
      if (before === null) await this.#inner.remove(name, never);
      else await this.#inner.put(name, [before], { signal: never });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  async #meddling<Result>(what: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    signal.throwIfAborted();
    if (this.#happens(this.faults.stall)) {
      this.log.push(`${what} stalled`);
      await untilAbort(signal);
    }
    if (!this.#happens(this.faults.fail)) return work();
    const isDone = this.#random() < 0.5;
    this.log.push(`${what} failed ${isDone ? 'after' : 'before'} it was done`);
    if (isDone) await work();
    throw new Failure('connection-lost', `The line was lost: ${what}.`, { transient: true });
  }

  #happens(probability = 0): boolean {
    return this.#random() < probability;
  }
}

/** Rejects with the signal's reason, and never resolves. */
function untilAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

async function readIfThere(store: BackupStore, name: string): Promise<Buffer | null> {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of store.get(name, never)) pieces.push(piece);
  } catch (error) {
    if (error instanceof Failure && error.code === 'target-missing') return null;
    throw error;
  }
  return Buffer.concat(pieces);
}
