import type { PackNaming } from '../pack/pack-format.ts';
import { PACK_LIMIT_BYTES, type Pack } from '../pack/pack.ts';
import { rowsOf } from '../chunk/chunk-list.ts';
import type { ChunkMap } from '../chunk/chunk-map.ts';
import type { KnownChunks } from '../chunk/known-chunks.ts';
import type { SealKey } from '../seal/seal.ts';
import { planFrames } from '../workers/frame-plan.ts';
import type { FramePool } from '../workers/frame-pool.ts';
import type { Extent } from '../extent/extents.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';

export interface CaptureOptions {
  /** What to read of the image: sorted, disjoint. */
  extents: Iterable<Extent>;
  /** Receives the id of each chunk that is read, known or not. It has the source's grid. */
  map: ChunkMap;
  /** Gives the zstd level for the next frame. */
  level: () => number;
  pool: FramePool;
  /** `sha256` unless given. */
  packNaming?: PackNaming;
  /** A pack is closed when it passes this size; `PACK_LIMIT_BYTES` unless given. */
  packLimitBytes?: number;
  /**
   * The chunks that the other side has: no pack will hold them. Each chunk that is captured is added, so that a chunk
   * that occurs in several places or images is packed once. After a failed capture the set is unreliable; discard it.
   * Without it, each chunk is packed wherever it occurs.
   */
  known?: KnownChunks;
  /**
   * What the other side has at each position, in shared memory: a chunk that is there already is not packed. The map must not
   * be changed meanwhile.
   */
  there?: ChunkMap;
  /** The chunks that the other side has at other places: they are not packed, either. Not changed here. */
  elsewhere?: KnownChunks;
  /** Seals the members of packs; null unless given. */
  sealKey?: SealKey;
  /** Called for each piece that was read: with its number of bytes, and how many of them packs will hold. */
  onRead?: (readBytes: number, packedBytes: number) => void;
}

let lastCapture = 0;

/** Reads an image: fills the map, and makes packs of the chunks while they are consumed. */
export async function* captureImage(
  source: ImageSource,
  options: CaptureOptions,
): AsyncGenerator<Pack, void, undefined> {
  const { extents, map, level, pool, packNaming = 'sha256', known, there, elsewhere } = options;
  const { packLimitBytes = PACK_LIMIT_BYTES, sealKey = null, onRead } = options;
  const { grid } = map;
  const capture = ++lastCapture;
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
        packLimitBytes,
        known: known?.shared ?? null,
        there: there?.sharedMemory ?? null,
        elsewhere: elsewhere?.shared ?? null,
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
    // This fails only if the pool has ended, and then the pool keeps nothing.
    if (isOpen) await pool.runOnEach({ kind: 'abandon', capture }).catch(() => undefined);
  }
}
