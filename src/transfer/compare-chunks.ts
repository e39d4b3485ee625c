import type { ChunkGrid } from '../chunk/chunk-grid.ts';
import { noChunkId } from '../chunk/chunk-id.ts';
import { chunkListOf, type ChunkList } from '../chunk/chunk-list.ts';
import type { ChunkMap } from '../chunk/chunk-map.ts';
import { extentsOfChunks } from '../chunk/chunk-marks.ts';
import type { ImageTarget } from '../image/target/image-target.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import type { FramePool } from '../workers/frame-pool.ts';
import type { IdentifyResult } from '../workers/jobs.ts';

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
  yield* mapOrdered(batchesOf(positions, map.grid), pool.width, async (batch) => {
    const chunks = listed(batch, map);
    if (how === 'read-back') target.forgetCached(extentsOfChunks(chunks.positions, map.grid));
    const { mismatches, plainBytes } = await pool.run({ kind: how, fd, grid: map.grid, chunks });
    const wrong = new Set(mismatches);
    const right = [...chunks.positions].filter((position) => !wrong.has(position));
    return { right, wrong: mismatches, plainBytes };
  });
}

/**
 * Finds out which chunks a target holds, past the page cache. Leaves out those that cannot be read.
 * @param positions ascending; what was written there is synced
 */
export async function* identifyChunks(
  target: ImageTarget,
  grid: ChunkGrid,
  positions: Iterable<number>,
  pool: ApplyPool,
): AsyncIterable<IdentifyResult> {
  const fd = target.directFd ?? target.fd;
  yield* mapOrdered(batchesOf(positions, grid), pool.width, (batch) => {
    target.forgetCached(extentsOfChunks(batch, grid));
    return pool.run({ kind: 'identify', fd, grid, positions: batch });
  });
}

function* batchesOf(positions: Iterable<number>, grid: ChunkGrid): Iterable<Uint32Array> {
  const most = Math.max(1, BATCH_BYTES / grid.chunkBytes);
  let batch: number[] = [];
  for (const position of positions) {
    batch.push(position);
    if (batch.length < most) continue;
    yield Uint32Array.from(batch);
    batch = [];
  }
  if (batch.length > 0) yield Uint32Array.from(batch);
}

function listed(positions: Uint32Array, map: ChunkMap): ChunkList {
  const chunks = Array.from(positions, (position) => ({ position, id: map.get(position) ?? noChunkId }));
  return chunkListOf(chunks);
}
