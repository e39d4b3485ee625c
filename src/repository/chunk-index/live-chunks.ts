import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';

const FIRST_CHUNKS = 1024;
const SLOTS_PER_CHUNK = 2;

/**
 * The chunks that snapshots need. Each has a number, counted from 0 in the order of adding, which can index an array with more
 * facts about it. Uses some 40 to 80 bytes a chunk.
 */
export class LiveChunks {
  #ids = new Uint8Array(FIRST_CHUNKS * CHUNK_ID_BYTES);
  /** Open addressing: numbers plus one; 0 is a free slot. */
  #slots = new Uint32Array(FIRST_CHUNKS * SLOTS_PER_CHUNK);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(id: Uint8Array): void {
    if (this.numberOf(id) !== -1) return;
    if ((this.#count + 1) * CHUNK_ID_BYTES > this.#ids.length) this.#grow();
    this.#ids.set(id, this.#count * CHUNK_ID_BYTES);
    this.#slots[this.#freeSlotFor(id)] = ++this.#count;
  }

  /** -1 for a chunk that is not among them. */
  numberOf(id: Uint8Array): number {
    for (let slot = this.#firstSlotOf(id); ; slot = (slot + 1) % this.#slots.length) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0) return -1;
      if (Buffer.compare(this.#idOf(entry - 1), id) === 0) return entry - 1;
    }
  }

  #grow(): void {
    const ids = new Uint8Array(this.#ids.length * 2);
    ids.set(this.#ids);
    this.#ids = ids;
    this.#slots = new Uint32Array(this.#slots.length * 2);
    for (let number = 0; number < this.#count; number++)
      this.#slots[this.#freeSlotFor(this.#idOf(number))] = number + 1;
  }

  #freeSlotFor(id: Uint8Array): number {
    let slot = this.#firstSlotOf(id);
    while (this.#slots[slot] !== 0) slot = (slot + 1) % this.#slots.length;
    return slot;
  }

  /** Ids are hashes, so their first four bytes serve as a hash. */
  #firstSlotOf(id: Uint8Array): number {
    const [first = 0, second = 0, third = 0, fourth = 0] = id;
    return (((first << 24) | (second << 16) | (third << 8) | fourth) >>> 0) % this.#slots.length;
  }

  #idOf(number: number): Uint8Array {
    return this.#ids.subarray(number * CHUNK_ID_BYTES, (number + 1) * CHUNK_ID_BYTES);
  }
}
