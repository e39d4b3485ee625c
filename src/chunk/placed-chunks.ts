import type { ChunkMap } from './chunk-map.ts';
import { KnownChunks } from './known-chunks.ts';

/** Room for this many ids at the beginning. */
const FIRST_ROOM = 2 ** 12;

/** Where a chunk lies. */
export interface ChunkPlace {
  /** The number that its disk was added with. */
  disk: number;
  position: number;
}

/**
 * Finds chunks by their ids, on several disks: one place for each id, the first that was added. Worker threads can ask whether there is
 * one (`known`). The number of ids is bounded; what comes later is left out.
 */
export class PlacedChunks {
  readonly #mostChunks: number;
  #known = KnownChunks.withRoomFor(FIRST_ROOM);
  /** Two numbers for each slot of the set: the disk, and the position. */
  #places = new Uint32Array(2 * this.#known.slotCount);
  #room = FIRST_ROOM;
  #count = 0;

  constructor(mostChunks: number) {
    this.#mostChunks = mostChunks;
  }

  /** The ids. Another set takes its place when chunks are added. */
  get known(): KnownChunks {
    return this.#known;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Adds all chunks of a disk. */
  add(disk: number, map: ChunkMap): void {
    for (let position = 0; position < map.grid.chunkCount && this.#count < this.#mostChunks; position++) {
      const id = map.get(position);
      if (id === null) continue;
      if (this.#count === this.#room) this.#rebuild(2 * this.#room, () => true);
      if (this.#addOne(id, disk, position)) this.#count++;
    }
  }

  /** Null for a chunk that lies nowhere, or was left out. */
  placeOf(id: Uint8Array): ChunkPlace | null {
    const slot = this.#known.slotOf(id);
    if (slot === null) return null;
    return { disk: this.#places[2 * slot] ?? 0, position: this.#places[2 * slot + 1] ?? 0 };
  }

  /** Forgets the chunks whose places are on these disks, even if other disks have them, too. */
  forget(disks: ReadonlySet<number>): void {
    this.#rebuild(this.#room, (disk) => !disks.has(disk));
  }

  /** Returns whether the id is new. */
  #addOne(id: Uint8Array, disk: number, position: number): boolean {
    if (!this.#known.add(id)) return false;
    const slot = this.#known.slotOf(id);
    // No slot is near enough: as if it had been left out.
    if (slot === null) return false;
    this.#places.set([disk, position], 2 * slot);
    return true;
  }

  #rebuild(room: number, isKept: (disk: number) => boolean): void {
    const [known, places] = [this.#known, this.#places];
    this.#room = room;
    this.#count = 0;
    this.#known = KnownChunks.withRoomFor(this.#room);
    this.#places = new Uint32Array(2 * this.#known.slotCount);
    for (const { slot, id } of known.entries()) {
      const disk = places[2 * slot] ?? 0;
      if (isKept(disk) && this.#addOne(id, disk, places[2 * slot + 1] ?? 0)) this.#count++;
    }
  }
}
