import { chunkId } from '../../chunk/chunk-id.ts';
import type { Zstd } from '../../codec/zstd.ts';
import { Failure } from '../../failure.ts';
import { FrameGathering, type PlainFrame } from '../../pack/frame-gathering.ts';
import type { Frame, FrameChunk } from '../../pack/frame.ts';

/** Gathers the needed chunks of many frames into few frames. */
export class LiveFrames {
  readonly #gathering = new FrameGathering();
  readonly #zstd: Zstd;
  readonly #level: number;

  constructor(zstd: Zstd, level: number) {
    this.#zstd = zstd;
    this.#level = level;
  }

  /**
   * Returns the frames that are full now. Throws Failure `pack-damaged` if the frame does not match its
   * table; then none of its chunks is taken.
   */
  *take(frame: Frame, isNeeded: (id: Uint8Array) => boolean): Iterable<Frame> {
    const needed = frame.chunks.map(({ id }) => isNeeded(id));
    if (!needed.includes(true)) return;
    const chunks = this.#openFrame(frame);
    if (!needed.includes(false)) {
      yield frame;
      return;
    }
    for (const [row, { chunk, plain }] of chunks.entries())
      if (needed[row] === true) yield* this.#compressed(this.#gathering.add([chunk], plain));
  }

  /** Returns frames of the chunks that are left. */
  *flush(): Iterable<Frame> {
    yield* this.#compressed(this.#gathering.flush());
  }

  *#compressed(frames: Iterable<PlainFrame>): Iterable<Frame> {
    for (const { chunks, plain } of frames)
      yield { chunks, compressed: this.#zstd.compress(plain, this.#level) };
  }

  #openFrame({ chunks, compressed }: Frame): { chunk: FrameChunk; plain: Uint8Array }[] {
    const plainBytes = chunks.reduce((sum, { length }) => sum + length, 0);
    const all = this.#zstd.decompress(compressed, plainBytes);
    let end = 0;
    return chunks.map((chunk) => {
      const plain = all.subarray(end, (end += chunk.length));
      if (Buffer.compare(chunkId(plain), chunk.id) !== 0)
        throw new Failure('pack-damaged', 'A pack has a chunk that does not match its id.');
      return { chunk, plain };
    });
  }
}
