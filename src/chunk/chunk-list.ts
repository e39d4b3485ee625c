import { CHUNK_ID_BYTES, noChunkId } from './chunk-id.ts';
import type { ChunkMap } from './chunk-map.ts';

/** Some chunks of an image in a form that passes between threads cheaply: one row for each, in order. */
export interface ChunkList {
  positions: Uint32Array;
  /** The ids, one after the other. */
  ids: Uint8Array;
}

/** A grid never has more than 2^20 chunks, so a position always fits into 32 bits. */
export function chunkListOf(chunks: readonly { position: number; id: Uint8Array }[]): ChunkList {
  const list = {
    positions: new Uint32Array(chunks.length),
    ids: new Uint8Array(chunks.length * CHUNK_ID_BYTES),
  };
  for (const [row, { position, id }] of chunks.entries()) {
    list.positions[row] = position;
    list.ids.set(id, row * CHUNK_ID_BYTES);
  }
  return list;
}

/** The chunks that a map has at these positions. No object is made for a chunk: there may be many. */
export function chunkListFrom(map: ChunkMap, positions: readonly number[]): ChunkList {
  const ids = new Uint8Array(positions.length * CHUNK_ID_BYTES);
  for (const [row, position] of positions.entries())
    ids.set(map.get(position) ?? noChunkId, row * CHUNK_ID_BYTES);
  return { positions: Uint32Array.from(positions), ids };
}

export function* rowsOf(list: ChunkList): Iterable<{ position: number; id: Uint8Array }> {
  for (const row of list.positions.keys()) yield rowAt(list, row);
}

export function rowAt({ positions, ids }: ChunkList, row: number): { position: number; id: Uint8Array } {
  const id = ids.subarray(row * CHUNK_ID_BYTES, (row + 1) * CHUNK_ID_BYTES);
  return { position: positions[row] ?? 0, id };
}

/** The chunks of a list that lie side by side: the position of the first, and their ids, one after the other. */
export function* runsOf({ positions, ids }: ChunkList): Iterable<{ first: number; ids: Uint8Array }> {
  for (let start = 0, end = 1; start < positions.length; start = end++) {
    const first = positions[start] ?? 0;
    while (end < positions.length && positions[end] === first + end - start) end++;
    yield { first, ids: ids.subarray(start * CHUNK_ID_BYTES, end * CHUNK_ID_BYTES) };
  }
}
