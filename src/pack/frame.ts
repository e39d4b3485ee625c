/** One row of a frame's table: which chunk of the image, its id, and its plain length in bytes. */
export interface FrameChunk {
  position: number;
  id: Uint8Array;
  length: number;
}

/** A run of chunks, compressed together; see doc/formats.md. */
export interface Frame {
  chunks: readonly FrameChunk[];
  /** One zstd frame: the chunks' plain bytes, one after the other. */
  compressed: Uint8Array;
}
