import { packFrames, type Pack } from '../archive/pack.ts';
import { chunkGridFor } from '../chunk/chunk-grid.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import type { Frame } from '../frame/frame.ts';
import { planFrames } from '../frame/frame-plan.ts';
import type { FramePool } from '../frame/frame-pool.ts';
import type { Extent } from '../image/extents.ts';
import type { ImageSource } from '../image/image-source.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';

export interface CaptureOptions {
  /** What of the image to read: sorted, disjoint; the rest counts as zero. */
  extents: Iterable<Extent>;
  /** zstd level. */
  level: number;
  pool: FramePool;
  /** Called with the bytes of each piece that was read, and with the bytes of it that packs will hold. */
  onRead?: (readBytes: number, packedBytes: number) => void;
}

export interface Capture {
  /** The image as packs, made while they are consumed. */
  packs: AsyncIterable<Pack>;
  /** Complete when `packs` has ended. */
  map: ChunkMap;
}

/** Turns an image into packs and a chunk map. */
export function captureImage(source: ImageSource, { extents, level, pool, onRead }: CaptureOptions): Capture {
  const grid = chunkGridFor(source.sizeBytes);
  const map = new ChunkMap(grid);
  const { imageBytes, chunkBytes } = grid;
  async function* frames(): AsyncIterable<Frame> {
    const results = mapOrdered(planFrames(extents, grid), pool.width, (plan) =>
      pool.run({ kind: 'capture', fd: source.fd, imageBytes, chunkBytes, level, plan }),
    );
    for await (const { frame, readBytes } of results) {
      onRead?.(
        readBytes,
        (frame?.chunks ?? []).reduce((sum, { length }) => sum + length, 0),
      );
      if (frame === null) continue;
      for (const { position, id } of frame.chunks) map.set(position, id);
      yield frame;
    }
  }
  return { packs: packFrames(frames()), map };
}
