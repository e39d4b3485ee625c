import type { FileHandle } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { chunkGridFor, chunkLength, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { isAllZero } from '../chunk/chunk-id.ts';
import { rowsOf, type ChunkList } from '../chunk/chunk-list.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import { Failure } from '../failure.ts';
import type { FramePool } from '../workers/frame-pool.ts';
import type { PartialImage } from '../image/target/partial-image.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import { command, placed } from '../placed-text.ts';
import { dropPageCache } from '../system/native.ts';

const ZERO_CHECK_BYTES = 2 ** 20;

/**
 * Makes an image from packs: `apply` each of them, several at a time if one likes, `readBack` what they wrote, and
 * `finish`. No chunk is taken twice, so that what was read back stays what is on the disk.
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

  /**
   * Unpacks and writes one pack; answers with what is to be read back.
   * @param path of the pack's file
   */
  async apply(id: string, path: string): Promise<AppliedPack> {
    const applied = await this.#pool.run({
      kind: 'apply',
      fd: this.#image.fd,
      directFd: this.#direct?.fd ?? null,
      grid: this.#grid,
      packId: id,
      packPath: path,
    });
    for (const row of rowsOf(applied.chunks)) {
      if (this.#written.get(row.position) !== null) {
        throw new Failure(
          'pack-damaged',
          `The chunk at byte ${this.#offsetOf(row.position)} was sent twice.`,
        );
      }
      this.#written.set(row.position, row.id);
      this.#unverifiedChunks++;
    }
    return applied;
  }

  /**
   * Syncs what these packs wrote, reads it back from the disk and compares it. Throws Failure `verification-failed`.
   * @param onVerified called with the plain bytes of each pack that was found right
   */
  async readBack(
    applied: readonly AppliedPack[],
    onVerified: (plainBytes: number) => void = () => undefined,
  ): Promise<void> {
    await this.#image.sync();
    if (this.#direct === null) for (const { chunks } of applied) this.#dropCached(chunks);
    const fd = this.#direct?.fd ?? this.#image.fd;
    const results = mapOrdered(applied, this.#pool.width, async ({ chunks }) => ({
      ...(await this.#pool.run({ kind: 'read-back', fd, grid: this.#grid, chunks })),
      chunkCount: chunks.positions.length,
    }));
    for await (const { plainBytes, mismatches, chunkCount } of results) {
      const [first] = mismatches;
      if (first !== undefined) throw this.#mismatch(first);
      this.#unverifiedChunks -= chunkCount;
      onVerified(plainBytes);
    }
  }

  #dropCached(chunks: ChunkList): void {
    for (const { position } of rowsOf(chunks)) {
      dropPageCache(this.#image.fd, this.#offsetOf(position), chunkLength(this.#grid, position));
    }
  }

  /**
   * After all packs: that all of them read back, and that there is nothing besides; answers with the fingerprint of what is
   * on the disk. Throws Failure `verification-failed`.
   */
  async finish(): Promise<string> {
    if (this.#unverifiedChunks !== 0)
      throw new Failure('internal', `${this.#unverifiedChunks} chunks were not read back.`);
    await using written = this.#image.openForReading();
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
      `${this.#image.path} does not read back as it was sent, at byte ${this.#offsetOf(position)}.`,
      {
        advice: placed`The disk or the memory of that machine may be failing: see its kernel log (${command('dmesg')}).`,
      },
    );
  }

  #offsetOf(position: number): number {
    return position * this.#grid.chunkBytes;
  }

  /** After the last `apply` and `readBack` have settled. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#direct?.close();
  }
}

/** What a pack has written. */
export interface AppliedPack {
  chunks: ChunkList;
  plainBytes: number;
}
