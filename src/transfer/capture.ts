import type { PackNaming } from '../pack/pack-format.ts';
import type { Pack } from '../pack/pack.ts';
import { chunkGridFor } from '../chunk/chunk-grid.ts';
import { rowsOf } from '../chunk/chunk-list.ts';
import { ChunkMap } from '../chunk/chunk-map.ts';
import type { KnownChunks } from '../chunk/known-chunks.ts';
import type { SealKey } from '../seal/seal.ts';
import { planFrames } from '../workers/frame-plan.ts';
import type { FramePool } from '../workers/frame-pool.ts';
import type { Extent } from '../extent/extents.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';

/**
 * Packs that are to be on their way at once: while one is being made durable and renamed, and the next is on its way,
 * compression goes on with a third.
 */
export const PACKS_IN_FLIGHT = 3;

export interface CaptureOptions {
  /** What of the image to read: sorted, disjoint; the rest counts as zero. */
  extents: Iterable<Extent>;
  /** The zstd level to go on with; asked for each frame. */
  level: () => number;
  pool: FramePool;
  /** `sha256` unless given. */
  packNaming?: PackNaming;
  /**
   * The chunks that the other side has: no pack will hold them. What is captured is added, so that a chunk that occurs
   * in several places or images is packed once: after a capture that failed, it says that of chunks that no pack holds.
   * Without it, each chunk is packed wherever it occurs.
   */
  known?: KnownChunks;
  /** The map to be filled, of the source's grid; a new one unless given. */
  map?: ChunkMap;
  /** Seals the members of packs; null unless given. */
  sealKey?: SealKey;
  /** Called with the bytes of each piece that was read, and with the bytes of it that packs will hold. */
  onRead?: (readBytes: number, packedBytes: number) => void;
}

export interface Capture {
  /** The image as packs, made while they are consumed. */
  packs: AsyncIterable<Pack>;
  /** Complete when `packs` has ended. */
  map: ChunkMap;
}

let lastCapture = 0;

/** Turns an image into packs and a chunk map. */
export function captureImage(
  source: ImageSource,
  {
    extents,
    level,
    pool,
    packNaming = 'sha256',
    known,
    map = new ChunkMap(chunkGridFor(source.sizeBytes)),
    sealKey = null,
    onRead,
  }: CaptureOptions,
): Capture {
  const { grid } = map;
  const capture = ++lastCapture;
  async function* packs(): AsyncIterable<Pack> {
    let isOpen = true;
    try {
      const results = mapOrdered(planFrames(extents, grid), pool.width, (plan) =>
        pool.run({
          kind: 'capture',
          capture,
          fd: source.fd,
          grid,
          level: level(),
          plan,
          packNaming,
          known: known?.shared ?? null,
          sealKey,
        }),
      );
      for await (const { chunks, readBytes, newBytes, pack } of results) {
        for (const { position, id } of rowsOf(chunks)) map.set(position, id);
        onRead?.(readBytes, newBytes);
        if (pack !== null) yield pack;
      }
      const last = await pool.runOnEach({ kind: 'flush', capture });
      isOpen = false;
      for (const { pack } of last) if (pack !== null) yield pack;
    } finally {
      // A pool that is no more keeps nothing.
      if (isOpen) await pool.runOnEach({ kind: 'abandon', capture }).catch(() => undefined);
    }
  }
  return { packs: packs(), map };
}
