/** How an image is cut into chunks; see doc/formats.md. All sizes in bytes. */
export interface ChunkGrid {
  imageBytes: number;
  chunkBytes: number;
  chunkCount: number;
}

export const SMALLEST_CHUNK_BYTES = 64 * 1024;
export const MOST_CHUNKS = 2 ** 20;
/** The size of the chunks of a 64 TiB image. */
export const LARGEST_CHUNK_BYTES = 64 * 2 ** 20;
/** A frame holds at most this many plain bytes, or a single larger chunk (doc/formats.md). */
export const FRAME_LIMIT_BYTES = 2 ** 20;

/** The grid that an image of this size gets. */
export function chunkGridFor(imageBytes: number): ChunkGrid {
  let chunkBytes = SMALLEST_CHUNK_BYTES;
  while (chunkBytes * MOST_CHUNKS < imageBytes) chunkBytes *= 2;
  return { imageBytes, chunkBytes, chunkCount: Math.ceil(imageBytes / chunkBytes) };
}

/** The plain length of the chunk at `position`: `chunkBytes`, except for the last one. */
export function chunkLength(grid: ChunkGrid, position: number): number {
  return Math.min(grid.chunkBytes, grid.imageBytes - position * grid.chunkBytes);
}

/** Most plain bytes in one frame of a pack. */
export function frameLimitBytes(grid: ChunkGrid): number {
  return Math.max(FRAME_LIMIT_BYTES, grid.chunkBytes);
}

/** Whether a frame may hold this many chunks, of this many plain bytes in all. */
export function isFrameSize(chunkCount: number, plainBytes: number): boolean {
  return plainBytes <= FRAME_LIMIT_BYTES || chunkCount === 1;
}
