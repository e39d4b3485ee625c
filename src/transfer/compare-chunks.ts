import { noChunkId } from '../chunk/chunk-id.ts';
import { chunkListOf, type ChunkList } from '../chunk/chunk-list.ts';
import type { ChunkMap } from '../chunk/chunk-map.ts';
import { extentsOfChunks } from '../chunk/chunk-marks.ts';
import type { ImageTarget } from '../image/target/image-target.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import type { FramePool } from '../workers/frame-pool.ts';

/** Plain bytes of one job. */
const BATCH_BYTES = 4 * 2 ** 20;

/** The worker threads, as far as an apply needs them. */
export type ApplyPool = Pick<FramePool, 'run' | 'width'>;

export interface ComparedChunks {
  /** Positions whose chunks match the map (`right`) or differ from it (`wrong`); ascending. */
  right: number[];
  wrong: number[];
  plainBytes: number;
}

/**
 * Compares chunks of a target with a map.
 * @param positions ascending
 * @param how `compare`: an unreadable chunk counts as wrong; `read-back`: an unreadable chunk is a Failure
 * `verification-failed`, and the page cache is bypassed
 */
export async function* compareChunks(
  target: ImageTarget,
  map: ChunkMap,
  positions: Iterable<number>,
  how: 'compare' | 'read-back',
  pool: ApplyPool,
): AsyncIterable<ComparedChunks> {
  const fd = target.directFd ?? target.fd;
  const batches = batchesOf(positions, map);
  yield* mapOrdered(batches, pool.width, async (chunks) => {
    if (how === 'read-back') target.forgetCached(extentsOfChunks(chunks.positions, map.grid));
    const { mismatches, plainBytes } = await pool.run({ kind: how, fd, grid: map.grid, chunks });
    const wrong = new Set(mismatches);
    const right = [...chunks.positions].filter((position) => !wrong.has(position));
    return { right, wrong: mismatches, plainBytes };
  });
}

function* batchesOf(positions: Iterable<number>, map: ChunkMap): Iterable<ChunkList> {
  const most = Math.max(1, BATCH_BYTES / map.grid.chunkBytes);
  let batch: { position: number; id: Uint8Array }[] = [];
  for (const position of positions) {
    batch.push({ position, id: map.get(position) ?? noChunkId });
    if (batch.length < most) continue;
    yield chunkListOf(batch);
    batch = [];
  }
  if (batch.length > 0) yield chunkListOf(batch);
}
