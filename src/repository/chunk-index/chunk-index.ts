import { randomBytes } from 'node:crypto';
import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';

/** The chunks of a frame, in order: concatenated ids, and plain lengths in bytes. */
export interface FrameChunks {
  ids: Uint8Array;
  lengths: Uint32Array;
}

/** A frame, and where it is in the file of its pack. */
export interface IndexedFrame {
  offsetBytes: number;
  sizeBytes: number;
  chunks: FrameChunks;
}

export interface IndexedPack {
  id: string;
  /** Size of its file. */
  sizeBytes: number;
  frames: readonly IndexedFrame[];
}

/** A frame, and the pack that it is in. */
export interface FramePlace extends IndexedFrame {
  packId: string;
}

const FIRST_CHUNKS = 1024;
const SLOTS_PER_CHUNK = 2;
/** How many places of one chunk are kept. Each makes adding the next one slower; real stores have two or three. */
const MOST_PLACES = 16;
/** Random factors for `#slotOf`, one for each four bytes of an id. */
const factors = Array.from({ length: CHUNK_ID_BYTES / 4 }, () => randomBytes(4).readUInt32LE() | 1);

/**
 * Maps chunks to the frames and packs that have them. Uses some 60 bytes a chunk, in a few large arrays: a guest has up to
 * millions of chunks.
 */
export class ChunkIndex {
  readonly #packs: { id: string; sizeBytes: number }[] = [];
  readonly #frames: {
    pack: number;
    offsetBytes: number;
    sizeBytes: number;
    firstChunk: number;
    count: number;
  }[] = [];
  #ids = new Uint8Array(FIRST_CHUNKS * CHUNK_ID_BYTES);
  #lengths = new Uint32Array(FIRST_CHUNKS);
  #frameOf = new Uint32Array(FIRST_CHUNKS);
  /** Open addressing: chunk numbers plus one; 0 is a free slot. A chunk in several packs has several slots, up to MOST_PLACES. */
  #slots = new Uint32Array(FIRST_CHUNKS * SLOTS_PER_CHUNK);
  #chunkCount = 0;

  /** The number of entries. A chunk that is in two packs counts twice. */
  get chunkCount(): number {
    return this.#chunkCount;
  }

  get packs(): readonly { id: string; sizeBytes: number }[] {
    return this.#packs;
  }

  add(pack: IndexedPack): void {
    const packNumber = this.#packs.push({ id: pack.id, sizeBytes: pack.sizeBytes }) - 1;
    for (const { offsetBytes, sizeBytes, chunks } of pack.frames) {
      const count = chunks.lengths.length;
      const frameNumber =
        this.#frames.push({ pack: packNumber, offsetBytes, sizeBytes, firstChunk: this.#chunkCount, count }) -
        1;
      this.#makeRoomFor(count);
      this.#ids.set(chunks.ids, this.#chunkCount * CHUNK_ID_BYTES);
      this.#lengths.set(chunks.lengths, this.#chunkCount);
      this.#frameOf.fill(frameNumber, this.#chunkCount, this.#chunkCount + count);
      for (let added = 0; added < count; added++) this.#insert(this.#chunkCount++);
    }
  }

  has(id: Uint8Array): boolean {
    return this.#find(id).next().done !== true;
  }

  /** The frames with the chunk, in the order of adding; at most MOST_PLACES. Empty for an unknown chunk. */
  placesOf(id: Uint8Array): FramePlace[] {
    return this.frameNumbersOf(id).map((frame) => this.frame(frame));
  }

  /**
   * The numbers of the frames with the chunk, for `frame`.
   * @param length of the chunk in plain bytes; frames that give another length are left out
   */
  frameNumbersOf(id: Uint8Array, length?: number): number[] {
    const numbers: number[] = [];
    for (const chunk of this.#find(id))
      if (length === undefined || this.#lengths[chunk] === length) numbers.push(this.#frameOf[chunk] ?? 0);
    return numbers.sort((first, second) => first - second);
  }

  frame(number: number): FramePlace {
    const frame = this.#frames[number];
    const pack = frame && this.#packs[frame.pack];
    if (frame === undefined || pack === undefined) throw new RangeError(`no frame ${number}`);
    const end = frame.firstChunk + frame.count;
    return {
      packId: pack.id,
      offsetBytes: frame.offsetBytes,
      sizeBytes: frame.sizeBytes,
      chunks: {
        ids: this.#ids.subarray(frame.firstChunk * CHUNK_ID_BYTES, end * CHUNK_ID_BYTES),
        lengths: this.#lengths.subarray(frame.firstChunk, end),
      },
    };
  }

  /** The id of every chunk, once for each place. */
  *ids(): Generator<Uint8Array> {
    for (let chunk = 0; chunk < this.#chunkCount; chunk++) yield this.#idOf(chunk);
  }

  /** All packs with their frames, in the order of adding. */
  *indexedPacks(): Generator<IndexedPack> {
    let frame = 0;
    for (const [number, pack] of this.#packs.entries()) {
      const frames: IndexedFrame[] = [];
      for (; this.#frames[frame]?.pack === number; frame++) frames.push(this.frame(frame));
      yield { ...pack, frames };
    }
  }

  *#find(id: Uint8Array): Generator<number> {
    for (let slot = this.#slotOf(id); ; slot = (slot + 1) % this.#slots.length) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0) return;
      if (Buffer.compare(this.#idOf(entry - 1), id) === 0) yield entry - 1;
    }
  }

  #insert(chunk: number): void {
    const id = this.#idOf(chunk);
    let places = 0;
    let slot = this.#slotOf(id);
    for (let entry = this.#slots[slot] ?? 0; entry !== 0; entry = this.#slots[slot] ?? 0) {
      if (Buffer.compare(this.#idOf(entry - 1), id) === 0 && ++places === MOST_PLACES) return;
      slot = (slot + 1) % this.#slots.length;
    }
    this.#slots[slot] = chunk + 1;
  }

  /** Mixes the id with secret factors: a hostile index could otherwise name ids that all get the same slot. */
  #slotOf(id: Uint8Array): number {
    let mixed = 0;
    for (const [number, factor] of factors.entries()) {
      const at = number * 4;
      const word =
        ((id[at] ?? 0) << 24) | ((id[at + 1] ?? 0) << 16) | ((id[at + 2] ?? 0) << 8) | (id[at + 3] ?? 0);
      mixed = (mixed + Math.imul(word, factor)) | 0;
    }
    // Use the upper bits: they depend on all lower ones.
    return Math.floor(((mixed >>> 0) / 2 ** 32) * this.#slots.length);
  }

  #idOf(chunk: number): Uint8Array {
    return this.#ids.subarray(chunk * CHUNK_ID_BYTES, (chunk + 1) * CHUNK_ID_BYTES);
  }

  #makeRoomFor(count: number): void {
    const needed = this.#chunkCount + count;
    if (needed <= this.#lengths.length) return;
    let capacity = this.#lengths.length;
    while (capacity < needed) capacity *= 2;
    this.#ids = grown(this.#ids, new Uint8Array(capacity * CHUNK_ID_BYTES));
    this.#lengths = grown(this.#lengths, new Uint32Array(capacity));
    this.#frameOf = grown(this.#frameOf, new Uint32Array(capacity));
    this.#slots = new Uint32Array(capacity * SLOTS_PER_CHUNK);
    for (let chunk = 0; chunk < this.#chunkCount; chunk++) this.#insert(chunk);
  }
}

function grown<Numbers extends Uint8Array | Uint32Array>(from: Numbers, into: Numbers): Numbers {
  into.set(from);
  return into;
}
