import { FRAME_LIMIT_BYTES, isFrameSize } from '../chunk/chunk-grid.ts';
import type { FrameChunk } from './frame.ts';

/** The chunks of one frame, before compression. */
export interface PlainFrame {
  /** Ascending positions. */
  chunks: readonly FrameChunk[];
  /** The chunks' bytes, one after the other. */
  plain: Uint8Array;
}

/**
 * Makes frames of chunks. Chunks that fill a frame are not copied. Fewer chunks are gathered until they fill a frame,
 * so that chunks from all over an image compress as well as neighbours.
 */
export class FrameGathering {
  #chunks: FrameChunk[] = [];
  #memory: Uint8Array | null = null;
  #plainBytes = 0;

  /**
   * Takes chunks of one frame at most, with ascending positions. Yields the frames that are full now. The bytes of a
   * frame are valid until the next frame is asked for: their memory is used again.
   * @param plain the chunks' bytes, one after the other
   */
  *add(chunks: readonly FrameChunk[], plain: Uint8Array): Iterable<PlainFrame> {
    const [first] = chunks;
    if (first === undefined) return;
    // Full: another chunk of this size would not fit.
    if (!isFrameSize(chunks.length + 1, plain.length + first.length)) {
      yield { chunks, plain };
      return;
    }
    this.#memory ??= new Uint8Array(FRAME_LIMIT_BYTES);
    let start = 0;
    for (const chunk of chunks) {
      const isAscending = chunk.position > (this.#chunks.at(-1)?.position ?? -1);
      const fits = isFrameSize(this.#chunks.length + 1, this.#plainBytes + chunk.length);
      if (!isAscending || !fits) yield* this.flush();
      this.#memory.set(plain.subarray(start, start + chunk.length), this.#plainBytes);
      this.#chunks.push(chunk);
      this.#plainBytes += chunk.length;
      start += chunk.length;
    }
  }

  /** Yields the remaining chunks as a last frame. */
  *flush(): Iterable<PlainFrame> {
    if (this.#memory === null || this.#chunks.length === 0) return;
    const frame = { chunks: this.#chunks, plain: this.#memory.subarray(0, this.#plainBytes) };
    this.#chunks = [];
    this.#plainBytes = 0;
    yield frame;
  }
}
