import { isFrameSize } from '../../chunk/chunk-grid.ts';
import { chunkId } from '../../chunk/chunk-id.ts';
import type { Zstd } from '../../codec/zstd.ts';
import { Failure } from '../../failure.ts';
import type { Frame, FrameChunk } from '../../pack/frame.ts';

/** The chunks that are needed of many frames, in as few frames. */
export class LiveFrames {
  readonly #zstd: Zstd;
  readonly #level: number;
  #chunks: FrameChunk[] = [];
  #parts: Uint8Array[] = [];
  #plainBytes = 0;

  constructor(zstd: Zstd, level: number) {
    this.#zstd = zstd;
    this.#level = level;
  }

  /**
   * Gives the frames that are full now. Throws Failure `pack-damaged` where the frame is not what its table says; then
   * nothing of it was taken.
   */
  *take(frame: Frame, isNeeded: (id: Uint8Array) => boolean): Iterable<Frame> {
    const needed = frame.chunks.map(({ id }) => isNeeded(id));
    if (!needed.includes(true)) return;
    const chunks = this.#openFrame(frame);
    if (!needed.includes(false)) {
      yield frame;
      return;
    }
    for (const [row, { chunk, plain }] of chunks.entries()) {
      if (needed[row] !== true) continue;
      const isInOrder = chunk.position > (this.#chunks.at(-1)?.position ?? -1);
      const fits = isFrameSize(this.#chunks.length + 1, this.#plainBytes + plain.length);
      if (!isInOrder || !fits) yield* this.flush();
      this.#chunks.push(chunk);
      this.#parts.push(plain);
      this.#plainBytes += plain.length;
    }
  }

  /** What is left. */
  *flush(): Iterable<Frame> {
    if (this.#chunks.length === 0) return;
    const compressed = this.#zstd.compress(Buffer.concat(this.#parts, this.#plainBytes), this.#level);
    yield { chunks: this.#chunks, compressed };
    this.#chunks = [];
    this.#parts = [];
    this.#plainBytes = 0;
  }

  #openFrame({ chunks, compressed }: Frame): { chunk: FrameChunk; plain: Uint8Array }[] {
    const plainBytes = chunks.reduce((sum, { length }) => sum + length, 0);
    const all = this.#zstd.decompress(compressed, plainBytes);
    let end = 0;
    return chunks.map((chunk) => {
      const plain = all.subarray(end, (end += chunk.length));
      if (Buffer.compare(chunkId(plain), chunk.id) !== 0)
        throw new Failure('pack-damaged', 'A pack has a chunk in it that is not what its id says.');
      return { chunk, plain };
    });
  }
}
