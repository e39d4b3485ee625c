import type { Extent } from '../extent/extents.ts';
import { Doubt } from './file-systems/doubt.ts';
import { readPartitionTable } from './partitions/partition-table.ts';
import { contentOf, identify, type RegionContent } from './region-content.ts';
import type { ImageSource } from './source/image-source.ts';
import type { ReadAt } from './source/read-at.ts';
import { probeVolumeGroup, type VolumeGroup } from './volume-group.ts';

/** The content of the whole disk, or of a partition. */
export interface ImageRegion extends Extent, RegionContent {
  /** For a physical volume of LVM (`lvm2`) that is `skippable`: what is in it. */
  volumeGroup?: VolumeGroup;
}

export interface ImageLayout {
  sizeBytes: number;
  /** Sorted and disjoint. The rest of the disk (partition tables, gaps) is data. */
  regions: readonly ImageRegion[];
}

/** Reads a region of the image as a disk of its own. */
export function regionReader(source: Pick<ImageSource, 'read'>, start: number): ReadAt {
  return (offset, length) => source.read(start + offset, length);
}

/**
 * Finds the file systems in an image, and reads all that they say about free blocks. Throws Failure `read-failed` when
 * the image cannot be read; no content of it makes this throw.
 */
export function probeImage(source: Pick<ImageSource, 'read' | 'sizeBytes'>): ImageLayout {
  const { sizeBytes } = source;
  const read = regionReader(source, 0);
  const table = readPartitionTable(read, sizeBytes);
  const onWholeDisk = identify(read, sizeBytes);
  const partitioned = table.kind === 'mbr' || table.kind === 'gpt';
  // The copy of a valid GPT belongs to that GPT.
  const others = onWholeDisk.filter(({ kind }) => !(table.kind === 'gpt' && kind === 'gpt-copy'));
  const places = !partitioned || others.length > 0 ? [{ offset: 0, length: sizeBytes }] : table.partitions;
  return { sizeBytes, regions: places.map((place) => probeRegion(source, place)) };
}

function probeRegion(source: Pick<ImageSource, 'read'>, { offset, length }: Extent): ImageRegion {
  const content = contentOf(regionReader(source, offset), length);
  const region = { offset, length, ...content };
  if (content.kind !== 'lvm2') return region;
  try {
    const { usedBytes, uuid, volumeGroup } = probeVolumeGroup(source, { offset, length });
    return { offset, length, kind: 'lvm2', uuid, clean: null, usedBytes, skippable: true, volumeGroup };
  } catch (error) {
    if (error instanceof Doubt) return { ...region, reason: error.message };
    throw error;
  }
}

/** A region, or a logical volume in one. */
export interface Content extends RegionContent {
  length: number;
  /** Where it is in the image: extents in its own order. */
  pieces: readonly Extent[];
}

/** What the regions hold: the volumes of a volume group instead of the group itself. */
export function contentsOf({ regions }: Pick<ImageLayout, 'regions'>): Content[] {
  return regions.flatMap(
    ({ offset, volumeGroup, ...region }): readonly Content[] =>
      volumeGroup?.volumes ?? [{ ...region, pieces: [{ offset, length: region.length }] }],
  );
}
