import { CHUNK_ID_BYTES } from './chunk-id.ts';

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

export function* rowsOf({ positions, ids }: ChunkList): Iterable<{ position: number; id: Uint8Array }> {
  for (const [row, position] of positions.entries()) {
    yield { position, id: ids.subarray(row * CHUNK_ID_BYTES, (row + 1) * CHUNK_ID_BYTES) };
  }
}
