import { CHUNK_ID_BYTES } from './chunk-id.ts';

/** The share of slots that may be taken: with more, looking for an id would take long. */
const LOAD = 0.6;
/** An id lies at most this many steps from its first slot. An id that was not found by then is not known. */
const MOST_STEPS = 1024;

/** States of a slot. */
const FREE = 0;
const CLAIMED = 1;
const TAKEN = 2;

/**
 * A set of chunk ids that worker threads read and add to at the same time. Whole ids are compared, so an unknown id never
 * counts as known. A known id may count as new: when two threads add it in the same moment, or when the set is full. The
 * chunk is then stored twice, which does no harm.
 *
 * One table in shared memory, open addressing with steps of one slot; 55 bytes for each id that it has room for. Ids
 * are hashes already: their first four bytes say where to begin.
 */
export class KnownChunks {
  /** Another thread makes its own KnownChunks from this (`over`). */
  readonly shared: SharedArrayBuffer;
  readonly #slotCount: number;
  readonly #ids: Uint8Array;
  readonly #states: Uint8Array;

  private constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#slotCount = shared.byteLength / (CHUNK_ID_BYTES + 1);
    this.#ids = new Uint8Array(shared, 0, this.#slotCount * CHUNK_ID_BYTES);
    this.#states = new Uint8Array(shared, this.#ids.length);
  }

  /** An empty set for up to `count` ids. */
  static withRoomFor(count: number): KnownChunks {
    const slotCount = Math.ceil((count + 1) / LOAD);
    return new KnownChunks(new SharedArrayBuffer(slotCount * (CHUNK_ID_BYTES + 1)));
  }

  /** A set that another thread has made. */
  static over(shared: SharedArrayBuffer): KnownChunks {
    return new KnownChunks(shared);
  }

  /** True when the id was not known until now: the caller must then store the chunk. */
  add(id: Uint8Array): boolean {
    let slot = this.#firstSlot(id);
    for (let step = 0; step < MOST_STEPS && step < this.#slotCount; step++) {
      let state = Atomics.load(this.#states, slot);
      if (state === FREE) {
        state = Atomics.compareExchange(this.#states, slot, FREE, CLAIMED);
        if (state === FREE) {
          this.#ids.set(id, slot * CHUNK_ID_BYTES);
          Atomics.store(this.#states, slot, TAKEN);
          return true;
        }
      }
      // A slot that another thread has claimed, but not yet written its id to, is passed over.
      if (state === TAKEN && this.#holds(slot, id)) return false;
      slot = (slot + 1) % this.#slotCount;
    }
    return true;
  }

  has(id: Uint8Array): boolean {
    return this.slotOf(id) !== null;
  }

  /** How many slots there are. */
  get slotCount(): number {
    return this.#slotCount;
  }

  /** A number below `slotCount` that only this id has, as long as the set lives; null if the id is not known. */
  slotOf(id: Uint8Array): number | null {
    let slot = this.#firstSlot(id);
    for (let step = 0; step < MOST_STEPS && step < this.#slotCount; step++) {
      const state = Atomics.load(this.#states, slot);
      if (state === FREE) return null;
      if (state === TAKEN && this.#holds(slot, id)) return slot;
      slot = (slot + 1) % this.#slotCount;
    }
    return null;
  }

  /** All ids, and the slot of each. */
  *entries(): Iterable<{ slot: number; id: Uint8Array }> {
    for (const [slot, state] of this.#states.entries())
      if (state === TAKEN)
        yield { slot, id: this.#ids.subarray(slot * CHUNK_ID_BYTES, (slot + 1) * CHUNK_ID_BYTES) };
  }

  #firstSlot(id: Uint8Array): number {
    if (id.length !== CHUNK_ID_BYTES) throw new RangeError(`a chunk id of ${id.length} bytes`);
    const [a = 0, b = 0, c = 0, d = 0] = id;
    return ((a | (b << 8) | (c << 16) | (d << 24)) >>> 0) % this.#slotCount;
  }

  #holds(slot: number, id: Uint8Array): boolean {
    const start = slot * CHUNK_ID_BYTES;
    for (let index = 0; index < CHUNK_ID_BYTES; index++)
      if (this.#ids[start + index] !== id[index]) return false;
    return true;
  }
}
