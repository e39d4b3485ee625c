import type { FileHandle } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { readPack } from '../archive/pack.ts';
import { chunkGridFor, chunkLength, frameLimitBytes, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { isAllZero } from '../chunk/chunk-id.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import { Failure } from '../failure.ts';
import type { Frame } from '../frame/frame.ts';
import type { FramePool } from '../frame/frame-pool.ts';
import type { PartialImage } from '../image/partial-image.ts';
import { openImage } from '../image/open-image.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import { dropPageCache } from '../system/native.ts';

const ZERO_CHECK_BYTES = 2 ** 20;

/**
 * Makes an image from packs: `apply` each of them, `readBack` what it wrote, and `finish`. The two may run at the
 * same time for different packs, each one call at a time. No chunk is taken twice, so that what was read back stays
 * what is on the disk.
 */
export class ImageAssembly implements AsyncDisposable {
  readonly #image: PartialImage;
  readonly #pool: FramePool;
  readonly #grid: ChunkGrid;
  /** What was written; complete when all packs are applied. */
  readonly #written: ChunkMap;
  readonly #direct: FileHandle | null;
  #unverifiedChunks = 0;

  private constructor(image: PartialImage, pool: FramePool, direct: FileHandle | null) {
    this.#image = image;
    this.#pool = pool;
    this.#grid = chunkGridFor(image.sizeBytes);
    this.#written = new ChunkMap(this.#grid);
    this.#direct = direct;
  }

  static async begin(image: PartialImage, pool: FramePool): Promise<ImageAssembly> {
    return new ImageAssembly(image, pool, await image.openDirect());
  }

  /** How what is read back is kept from coming out of the page cache. */
  get readBackMethod(): 'direct' | 'page-cache-dropped' {
    return this.#direct === null ? 'page-cache-dropped' : 'direct';
  }

  /** Unpacks, checks and writes one pack; answers with its frames' tables, to be read back. */
  async apply(id: string, source: AsyncIterable<Uint8Array>): Promise<AppliedPack> {
    const bounds = {
      lengthOf: (position: number) => this.#lengthOf(position),
      frameLimitBytes: frameLimitBytes(this.#grid),
    };
    const tables: Frame['chunks'][] = [];
    let plainBytes = 0;
    const applied = mapOrdered(readPack(id, source, bounds), this.#pool.width, async (frame) => {
      this.#claim(frame);
      const result = await this.#pool.run({
        kind: 'apply',
        fd: this.#image.fd,
        chunkBytes: this.#grid.chunkBytes,
        frame,
      });
      return { chunks: frame.chunks, plainBytes: result.plainBytes };
    });
    for await (const frame of applied) {
      tables.push(frame.chunks);
      plainBytes += frame.plainBytes;
    }
    return { tables, plainBytes };
  }

  #lengthOf(position: number): number | null {
    return position < this.#grid.chunkCount ? chunkLength(this.#grid, position) : null;
  }

  #claim(frame: Frame): void {
    for (const { position, id } of frame.chunks) {
      if (this.#written.get(position) !== null) {
        throw new Failure(
          'pack-damaged',
          `the chunk at byte ${position * this.#grid.chunkBytes} was sent twice`,
        );
      }
      this.#written.set(position, id);
      this.#unverifiedChunks++;
    }
  }

  /** Reads what a pack wrote back from the disk and compares it. Throws Failure `verification-failed`. */
  async readBack({ tables }: AppliedPack): Promise<void> {
    await this.#image.sync();
    const { chunkBytes } = this.#grid;
    if (this.#direct === null) {
      for (const { position, length } of tables.flat())
        dropPageCache(this.#image.fd, position * chunkBytes, length);
    }
    const fd = this.#direct?.fd ?? this.#image.fd;
    const results = mapOrdered(tables, this.#pool.width, (chunks) =>
      this.#pool.run({ kind: 'read-back', fd, chunkBytes, chunks }),
    );
    for await (const { mismatches } of results) {
      const [first] = mismatches;
      if (first !== undefined) throw this.#mismatch(first);
    }
    this.#unverifiedChunks -= tables.reduce((sum, chunks) => sum + chunks.length, 0);
  }

  /** After all packs: that there is nothing besides them; answers with the fingerprint of what is on the disk. */
  async finish(): Promise<string> {
    if (this.#unverifiedChunks !== 0)
      throw new Failure('internal', `${this.#unverifiedChunks} chunks were not read back`);
    using written = openImage(this.#image.path);
    for (const extent of written.dataExtents()) {
      const end = extent.offset + extent.length;
      for (let offset = extent.offset; offset < end;) {
        const position = Math.floor(offset / this.#grid.chunkBytes);
        const next = Math.min(end, (position + 1) * this.#grid.chunkBytes, offset + ZERO_CHECK_BYTES);
        const isEmpty = this.#written.get(position) === null;
        if (isEmpty && !isAllZero(written.read(offset, next - offset))) throw this.#mismatch(position);
        offset = next;
        // A file system without holes has all of it to read: the line must not fall silent meanwhile.
        if (isEmpty) await setImmediate();
      }
    }
    return this.#written.fingerprint();
  }

  #mismatch(position: number): Failure {
    return new Failure(
      'verification-failed',
      `${this.#image.path} does not read back as it was written, at byte ${position * this.#grid.chunkBytes}`,
      {
        advice:
          'The disk or the memory of the new hardware may be failing: see the kernel log there (dmesg).',
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#direct?.close();
  }
}

export interface AppliedPack {
  tables: readonly Frame['chunks'][];
  plainBytes: number;
}
