import { CHUNK_ID_BYTES } from '../chunk/chunk-id.ts';

/** A frame's place in a pack file, and its chunks: enough to read this frame alone. */
export interface PackedFrame {
  /** Where the frame's bytes begin: behind the tar header of their member. */
  offsetBytes: number;
  sizeBytes: number;
  chunks: PackedChunks;
}

/** The chunks of a frame, in the order of their plain bytes in it; a form that passes between threads cheaply. */
export interface PackedChunks {
  /** One after the other. */
  ids: Uint8Array;
  /** Plain bytes of each. */
  lengths: Uint32Array;
}

export function packedChunksOf(chunks: readonly { id: Uint8Array; length: number }[]): PackedChunks {
  const ids = new Uint8Array(chunks.length * CHUNK_ID_BYTES);
  for (const [row, { id }] of chunks.entries()) ids.set(id, row * CHUNK_ID_BYTES);
  return { ids, lengths: Uint32Array.from(chunks, ({ length }) => length) };
}

export function* packedRowsOf({ ids, lengths }: PackedChunks): Iterable<{ id: Uint8Array; length: number }> {
  for (const [row, length] of lengths.entries()) {
    yield { id: ids.subarray(row * CHUNK_ID_BYTES, (row + 1) * CHUNK_ID_BYTES), length };
  }
}
