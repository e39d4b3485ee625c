import { rowsOf } from '../../chunk/chunk-list.ts';
import { packedRowsOf } from '../../pack/pack-layout.ts';
import type { SealKey } from '../../seal/seal.ts';
import { Failure } from '../../failure.ts';
import type { FramePool } from '../../workers/frame-pool.ts';
import type { ApplyResult, WantedFrame, WantedFrames } from '../../workers/jobs.ts';
import { CHUNK_ID_BYTES } from '../../chunk/chunk-id.ts';
import { mapOrdered } from '../../pipeline/map-ordered.ts';
import type { PlannedFrame, PlannedRequest } from './fetch-plan.ts';
import type { PackReader } from './pack-reader.ts';

/** Enough for a line with long latency. This number and the jobs in flight bound the memory. */
const REQUESTS_IN_FLIGHT = 6;

export interface FetchOptions {
  packs: PackReader;
  pool: FramePool;
  sealKey: SealKey;
  signal: AbortSignal;
}

/** The result of one request. */
export interface FetchedFrames {
  plainBytes: number;
  /** Chunks that are damaged in their frames. */
  damaged: DamagedChunk[];
}

export interface DamagedChunk {
  /** The frame's number in the index. */
  frame: number;
  /** Hexadecimal. */
  id: string;
  positions: number[];
}

/** What takes the chunks: an `ImageApply`, or memory. */
export interface WantedFramesSink {
  write: (from: WantedFrames) => Promise<Pick<ApplyResult, 'plainBytes' | 'damagedIds'>>;
}

/** Reads the requests from the store, several at a time, and writes their chunks to the target. */
export async function* fetchFrames(
  requests: Iterable<PlannedRequest>,
  apply: WantedFramesSink,
  { packs, pool, sealKey, signal }: FetchOptions,
): AsyncIterable<FetchedFrames> {
  const fetched = mapOrdered(requests, REQUESTS_IN_FLIGHT, async (request) => {
    signal.throwIfAborted();
    const { packId, offsetBytes, lengthBytes } = request;
    return { request, bytes: await packs.read(packId, offsetBytes, lengthBytes, signal) };
  });
  yield* mapOrdered(fetched, pool.width, async ({ request, bytes }) => {
    const frames = request.frames.map((frame) => wantedFrame(frame, bytes, request.offsetBytes));
    const applied = await apply.write({ sealKey, frames });
    return { plainBytes: applied.plainBytes, damaged: damagedChunks(request, applied) };
  });
}

function wantedFrame({ place, targets }: PlannedFrame, bytes: Uint8Array, startBytes: number): WantedFrame {
  const wanted = new Map<string, number[]>();
  for (const { id, position } of rowsOf(targets)) {
    const positions = wanted.get(hexOf(id));
    if (positions === undefined) wanted.set(hexOf(id), [position]);
    else positions.push(position);
  }
  const chunks = [...packedRowsOf(place.chunks)].map(({ id, length }) => {
    const hex = hexOf(id);
    const positions = wanted.get(hex) ?? [];
    // A frame may hold a chunk twice.
    wanted.delete(hex);
    return { id, length, positions };
  });
  const from = place.offsetBytes - startBytes;
  return { bytes: bytes.subarray(from, from + place.sizeBytes), chunks };
}

function damagedChunks(
  { frames }: PlannedRequest,
  { damagedIds }: Pick<ApplyResult, 'damagedIds'>,
): DamagedChunk[] {
  if (damagedIds.length === 0) return [];
  const ids = new Set<string>();
  for (let offset = 0; offset < damagedIds.length; offset += CHUNK_ID_BYTES)
    ids.add(hexOf(damagedIds.subarray(offset, offset + CHUNK_ID_BYTES)));
  const damaged = new Map<string, DamagedChunk>();
  for (const { number, targets } of frames) {
    for (const { id, position } of rowsOf(targets)) {
      const hex = hexOf(id);
      if (!ids.has(hex)) continue;
      const chunk = damaged.get(hex) ?? { frame: number, id: hex, positions: [] };
      damaged.set(hex, chunk);
      chunk.positions.push(position);
    }
  }
  if (damaged.size !== ids.size)
    throw new Failure('internal', 'A chunk that was not wanted is reported as damaged.');
  return [...damaged.values()];
}

export function hexOf(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex');
}
