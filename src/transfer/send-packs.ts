import type { ChunkMap } from '../chunk/chunk-map.ts';
import type { KnownChunks } from '../chunk/known-chunks.ts';
import type { Extent } from '../extent/extents.ts';
import type { ImageSource } from '../image/source/image-source.ts';
import type { Pack } from '../pack/pack.ts';
import { mapOrdered } from '../pipeline/map-ordered.ts';
import { captureImage, type CaptureOptions } from './capture.ts';
import { CompressionLevel, PACKS_IN_FLIGHT, type Compression } from './compression-level.ts';
import type { PassProgress } from './send-progress.ts';

/** Where packs go: the spool of a move, or a store of backups. */
export interface PackSink {
  /**
   * Sends a pack, once there is room for it. When this resolves the pack has arrived, and its memory is used again.
   * @param onWritten called with the number of bytes of the pack that have arrived since the last call
   */
  put(pack: Pack, signal: AbortSignal, onWritten: (bytes: number) => void): Promise<void>;
}

/** One pass over an image. */
export interface Pass {
  source: ImageSource;
  /** What it reads: sorted, disjoint. */
  extents: Iterable<Extent>;
  /** Receives the ids of the chunks that it reads; may hold those of an earlier pass. */
  map: ChunkMap;
  /** What the other side has at each position: only other chunks are sent. It has nothing unless given. */
  there?: ChunkMap;
  /** The chunks that it has at other places: they are not sent, either. */
  elsewhere?: KnownChunks;
  /** null: this pass is not counted. */
  progress: PassProgress | null;
}

/**
 * What all passes of a backup or a move share. With the same `known`, a later pass sends only what the earlier ones did
 * not.
 */
export interface Sending extends Pick<
  CaptureOptions,
  'pool' | 'packNaming' | 'packLimitBytes' | 'known' | 'sealKey'
> {
  sink: PackSink;
  compression: Compression;
}

/** Reads what the pass names, and sends the chunks that are not known. Throws the signal's reason when aborted. */
export async function sendPacks(
  { source, extents, map, there, elsewhere, progress }: Pass,
  { sink, compression, ...capture }: Sending,
  signal: AbortSignal,
): Promise<void> {
  const level = new CompressionLevel(compression);
  const packs = captureImage(source, {
    ...capture,
    extents,
    map,
    ...(there && { there }),
    ...(elsewhere && { elsewhere }),
    level: () => level.current,
    onRead: (readBytes, packedBytes) => progress?.read(readBytes, packedBytes),
  });
  const puts = mapOrdered(level.watch(packs), PACKS_IN_FLIGHT, async (pack) => {
    const sizeBytes = pack.bytes.length;
    await sink.put(pack, signal, (bytes) => progress?.sent(bytes, (bytes / sizeBytes) * pack.plainBytes));
    capture.pool.reuse(pack);
  });
  for await (const _ of puts) signal.throwIfAborted();
}
