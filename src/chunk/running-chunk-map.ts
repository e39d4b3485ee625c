import { chunkGridFor, chunkLength, type ChunkGrid } from './chunk-grid.ts';
import { chunkId, isAllZero } from './chunk-id.ts';
import { ChunkMap } from './chunk-map.ts';

/** Makes the chunk map of a disk whose bytes come in ascending order, in pieces of any size. */
export class RunningChunkMap {
  readonly #grid: ChunkGrid;
  readonly #map: ChunkMap;
  /** The chunk that is incomplete: its bytes so far at their places, and zeros. */
  #memory: Uint8Array | null = null;
  #position = -1;

  constructor(imageBytes: number) {
    this.#grid = chunkGridFor(imageBytes);
    this.#map = new ChunkMap(this.#grid);
  }

  /** Bytes that nobody adds are zero. */
  add(offset: number, bytes: Uint8Array): void {
    const { chunkBytes } = this.#grid;
    for (let done = 0; done < bytes.length;) {
      const position = Math.floor((offset + done) / chunkBytes);
      const start = offset + done - position * chunkBytes;
      const length = chunkLength(this.#grid, position);
      const part = bytes.subarray(done, done + length - start);
      if (position !== this.#position) this.#closeChunk();
      if (part.length === length) this.#setChunk(position, part);
      else this.#openChunk(position).set(part, start);
      done += part.length;
    }
  }

  /** Of all bytes: nothing can be added afterwards. */
  fingerprint(): string {
    this.#closeChunk();
    return this.#map.fingerprint();
  }

  #openChunk(position: number): Uint8Array {
    const memory = (this.#memory ??= new Uint8Array(this.#grid.chunkBytes));
    if (position !== this.#position) memory.fill(0);
    this.#position = position;
    return memory;
  }

  #closeChunk(): void {
    if (this.#memory === null || this.#position < 0) return;
    this.#setChunk(this.#position, this.#memory.subarray(0, chunkLength(this.#grid, this.#position)));
    this.#position = -1;
  }

  #setChunk(position: number, plain: Uint8Array): void {
    if (!isAllZero(plain)) this.#map.set(position, chunkId(plain));
  }
}
