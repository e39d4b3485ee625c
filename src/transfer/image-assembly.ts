import { setImmediate } from 'node:timers/promises';
import { chunkGridFor, type ChunkGrid } from '../chunk/chunk-grid.ts';
import { isAllZero } from '../chunk/chunk-id.ts';
import { extentsOfChunks } from '../chunk/chunk-marks.ts';
import { rowsOf, type ChunkList } from '../chunk/chunk-list.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import { Failure } from '../failure.ts';
import type { FramePool } from '../workers/frame-pool.ts';
import type { ImageTarget } from '../image/target/image-target.ts';
import { openRawImageAgain } from '../image/formats/raw/raw-image.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import { command, placed } from '../placed-text.ts';

const ZERO_CHECK_BYTES = 2 ** 20;

/**
 * Makes an image from packs: `apply` each of them, several at a time if one likes, `readBack` what they wrote, and
 * `finish`. No chunk is taken twice, so that what was read back stays what is on the disk.
 */
export class ImageAssembly {
  readonly #target: ImageTarget;
  readonly #pool: FramePool;
  readonly #grid: ChunkGrid;
  /** What was written; complete when all packs are applied. */
  readonly #written: ChunkMap;
  #unverifiedChunks = 0;

  constructor(target: ImageTarget, pool: FramePool) {
    this.#target = target;
    this.#pool = pool;
    this.#grid = chunkGridFor(target.imageBytes);
    this.#written = new ChunkMap(this.#grid);
  }

  /**
   * Unpacks and writes one pack; answers with what is to be read back.
   * @param path of the pack's file
   */
  async apply(id: string, path: string): Promise<AppliedPack> {
    const applied = await this.#pool.run({
      kind: 'apply',
      fd: this.#target.fd,
      directFd: this.#target.directFd,
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
    await this.#target.sync();
    for (const { chunks } of applied)
      this.#target.forgetCached(extentsOfChunks(chunks.positions.toSorted(), this.#grid));
    const fd = this.#target.directFd ?? this.#target.fd;
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

  /**
   * After all packs: that all of them read back, and that there is nothing besides; answers with the fingerprint of what is
   * on the disk. Throws Failure `verification-failed`.
   */
  async finish(): Promise<string> {
    if (this.#unverifiedChunks !== 0)
      throw new Failure('internal', `${this.#unverifiedChunks} chunks were not read back.`);
    await using written = openRawImageAgain(this.#target.fd, this.#target.workingPath);
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
      `${this.#target.workingPath} does not read back as it was sent, at byte ${this.#offsetOf(position)}.`,
      {
        advice: placed`The disk or the memory of that machine may be failing: see its kernel log (${command('dmesg')}).`,
      },
    );
  }

  #offsetOf(position: number): number {
    return position * this.#grid.chunkBytes;
  }
}

/** What a pack has written. */
export interface AppliedPack {
  chunks: ChunkList;
  plainBytes: number;
}
