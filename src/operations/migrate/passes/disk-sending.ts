import type { Warning } from '../../../events.ts';
import type { Extent } from '../../../extent/extents.ts';
import type { FormattedImage } from '../../../image/formats/image-format.ts';
import type { Compression } from '../../../transfer/compression-level.ts';
import type { OwnerClaim } from '../../../wire/messages.ts';
import type { RemoteReceiver } from '../../../wire/remote-receiver.ts';
import type { FramePool } from '../../../workers/frame-pool.ts';
import type { ChunksThere } from './chunks-there.ts';
import type { SpoolSink } from './spool-sink.ts';

/** Shared by all disks of a move. */
export interface MoveSending {
  pool: FramePool;
  receiver: RemoteReceiver;
  compression: Compression;
  claim: OwnerClaim;
  packLimitBytes: number;
  /** What other disks of the same command have there; null: everything is sent. */
  chunksThere: ChunksThere | null;
  /** Where packs go. Available when a disk was opened. */
  sink: (spool: string) => SpoolSink;
}

export interface DiskDestination {
  directory: string | null;
  /** Whether the content of a block device may be lost. */
  overwrite: boolean;
  /** Whether this move has begun it over an earlier line. */
  begun: boolean;
}

export interface VerifiedDisk {
  fingerprint: string;
  readBack: 'direct' | 'page-cache-dropped';
  warnings: readonly Warning[];
}

/** A pass while the guest runs. */
export interface RunningPass {
  /** An image with the disk's bytes at one moment, which does not change; null: the image itself is read, or a clone of it. */
  held: FormattedImage | null;
  /** All that the guest wrote from the beginning of the last pass to that of this one; null if that is not known. */
  written: readonly Extent[] | null;
}

/** What one pass over a disk does. */
export interface PlannedPass {
  /** What it does with each chunk. */
  marks: Uint8Array;
  extents: () => Iterable<Extent>;
  isLast: boolean;
}
