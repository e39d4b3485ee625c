import { chunkGridFor } from '../../chunk/chunk-grid.ts';
import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';
import type { ChunkList } from '../../chunk/chunk-list.ts';
import { Failure } from '../../failure.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { ImageApply } from '../../transfer/image-apply.ts';
import type { MoverMessage } from '../../wire/messages.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { TakenChunks } from '../../workers/jobs.ts';

/** Plain bytes of one job. */
const BATCH_BYTES = 4 * 2 ** 20;

export type TakeRequest = Omit<Extract<MoverMessage, { type: 'take' }>, 'type' | 'from'>;

/**
 * Writes chunks to a disk that lie on another one here, if they are there as they should be. They are read back like those of packs.
 * Returns the positions of the others, ascending.
 * @param fromFd the other disk; null: it is gone, and has none of them
 */
export async function takeChunks(
  { runs, ids }: TakeRequest,
  fromFd: number | null,
  apply: ImageApply,
  pool: Pick<FramePool, 'width'>,
  signal: AbortSignal,
): Promise<number[]> {
  const { chunkBytes, chunkCount } = chunkGridFor(apply.target.imageBytes);
  const { chunks, fromPositions } = listed(runs, Buffer.from(ids, 'base64'));
  if (chunks.positions.some((position) => position >= chunkCount))
    throw new Failure('protocol-violation', `${apply.target.path} has fewer chunks.`);
  const lacking = new Set(chunks.positions);
  if (lacking.size !== chunks.positions.length)
    throw new Failure('protocol-violation', 'A chunk is to be taken twice.');
  if (fromFd === null) return sorted(lacking);
  const most = Math.max(1, BATCH_BYTES / chunkBytes);
  const batches = batchesOf(chunks, fromPositions, most);
  const writes = mapOrdered(batches, pool.width, (batch) => apply.write({ fromFd, ...batch }));
  for await (const written of writes) {
    signal.throwIfAborted();
    for (const position of written.chunks.positions) lacking.delete(position);
  }
  return sorted(lacking);
}

type Taken = Omit<TakenChunks, 'fromFd'>;

/** Throws Failure `protocol-violation`. */
function listed(runs: TakeRequest['runs'], ids: Uint8Array): Taken {
  const count = runs.reduce((sum, [, , length]) => sum + length, 0);
  if (ids.length !== count * CHUNK_ID_BYTES)
    throw new Failure('protocol-violation', `There are ${ids.length} bytes of ids for ${count} chunks.`);
  const positions = new Uint32Array(count);
  const fromPositions = new Uint32Array(count);
  let row = 0;
  for (const [first, from, length] of runs)
    for (let index = 0; index < length; index++, row++) {
      positions[row] = first + index;
      fromPositions[row] = from + index;
    }
  return { chunks: { positions, ids }, fromPositions };
}

function* batchesOf({ positions, ids }: ChunkList, from: Uint32Array, most: number): Iterable<Taken> {
  for (let row = 0; row < positions.length; row += most)
    yield {
      chunks: {
        positions: positions.slice(row, row + most),
        ids: ids.slice(row * CHUNK_ID_BYTES, (row + most) * CHUNK_ID_BYTES),
      },
      fromPositions: from.slice(row, row + most),
    };
}

function sorted(positions: ReadonlySet<number>): number[] {
  return [...positions].toSorted((one, other) => one - other);
}
