import { isView, type StillDisk, type StillGuest } from '../../hold/still-guest.ts';
import { hasComparableContent } from '../../image/clones/placed-extents.ts';
import type { Comparison } from '../../transfer/plan-pass.ts';
import type { SourceDisk } from '../../transfer/source-disk.ts';
import { findUnchanged, type EarlierMaps } from '../../transfer/unchanged-chunks.ts';
import type { GuestRecordings } from './guest-recordings.ts';

/** What a guest's disks can be compared with. */
export interface EarlierCaptures {
  maps: EarlierMaps;
  /** Null when its hypervisor records nothing. */
  recordings: GuestRecordings | null;
  /** From 0 to 1, 1 excluded. */
  random: () => number;
}

/** A disk that is captured. */
export interface ComparedDisk {
  stillDisk: StillDisk;
  /** In the guest's definition. */
  index: number;
  disk: SourceDisk;
  /** `chunkUsage` of it, if what is written to it is recorded. */
  usage: Uint8Array | null;
}

/** How the disk is compared; null when it cannot be. */
export function comparisonOf(
  { stillDisk, index, disk, usage }: ComparedDisk,
  still: StillGuest,
  { maps, recordings, random }: EarlierCaptures,
): Comparison | null {
  if (usage !== null && recordings !== null)
    return {
      random,
      find: (known, signal) =>
        recordings.findUnchanged(still, { index, disk, usage }, { maps, known, signal }),
    };
  // The places of a file's blocks say nothing of a disk that is shown by something else.
  const { format, image } = stillDisk;
  if (isView(stillDisk) || !hasComparableContent({ path: image, format })) return null;
  return { random, find: (known, signal) => findUnchanged({ disk, image }, known, maps, signal) };
}
