import { frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import type { FrameChunk } from '../pack/frame.ts';

/** What is to become one frame. */
export interface PlainFrame {
  /** Ascending positions. */
  chunks: readonly FrameChunk[];
  /** Their bytes, one after the other. */
  plain: Uint8Array;
}

/**
 * Chunks of one image on their way into frames. What fills a frame by itself becomes one as it is, where it lies. Less
 * than that is gathered until it does, so that chunks from all over the image compress as well as neighbours.
 */
export class FrameGathering {
  readonly #chunkBytes: number;
  readonly #limitBytes: number;
  #chunks: FrameChunk[] = [];
  #memory: Uint8Array | null = null;
  #plainBytes = 0;

  constructor(grid: ChunkGrid) {
    this.#chunkBytes = grid.chunkBytes;
    this.#limitBytes = frameLimitBytes(grid);
  }

  /**
   * Takes chunks, no more than one frame may hold; gives what is to be made a frame now. Each lies in memory that is
   * used again: it lasts until the next is asked for.
   * @param plain the chunks' bytes, one after the other
   */
  *add(chunks: readonly FrameChunk[], plain: Uint8Array): Iterable<PlainFrame> {
    if (this.#isFull(plain.length)) {
      yield { chunks, plain };
      return;
    }
    if (chunks.length === 0) return;
    this.#memory ??= new Uint8Array(this.#limitBytes);
    let start = 0;
    for (const chunk of chunks) {
      if (chunk.position <= (this.#chunks.at(-1)?.position ?? -1)) yield* this.flush();
      this.#memory.set(plain.subarray(start, start + chunk.length), this.#plainBytes);
      this.#chunks.push(chunk);
      this.#plainBytes += chunk.length;
      start += chunk.length;
      if (this.#isFull(this.#plainBytes)) yield* this.flush();
    }
  }

  /** What is left. */
  *flush(): Iterable<PlainFrame> {
    if (this.#memory === null || this.#chunks.length === 0) return;
    const frame = { chunks: this.#chunks, plain: this.#memory.subarray(0, this.#plainBytes) };
    this.#chunks = [];
    this.#plainBytes = 0;
    yield frame;
  }

  #isFull(plainBytes: number): boolean {
    return plainBytes + this.#chunkBytes > this.#limitBytes;
  }
}
