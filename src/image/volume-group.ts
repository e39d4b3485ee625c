import { type Extent, mergeTouching, shift, subtract, totalLength } from '../extent/extents.ts';
import { fileSystemOf } from './file-systems.ts';
import { contentOf, type RegionContent } from './region-content.ts';
import type { ImageSource } from './source/image-source.ts';
import { mappedReader, placedInPiece } from './source/mapped-reader.ts';
import { readPhysicalVolume, type LogicalVolume } from './volumes/physical-volume.ts';

/** A volume in more pieces is moved whole: each piece takes another look at all of its file system. */
const MOST_PIECES = 64;

/** A volume group with one physical volume, and linear volumes only. */
export interface VolumeGroup {
  name: string;
  /** In the order of LVM's metadata. */
  volumes: readonly GroupVolume[];
  /** Extents of the image that no volume has: sorted, disjoint, not touching. */
  unallocated: readonly Extent[];
}

export interface GroupVolume extends RegionContent {
  name: string;
  length: number;
  /** Extents of the image, in the order of the volume. */
  pieces: readonly Extent[];
}

/** Throws Doubt unless the region is a physical volume of which all is known, and Failure `read-failed`. */
export function probeVolumeGroup(
  source: Pick<ImageSource, 'read'>,
  { offset, length }: Extent,
): { uuid: string; usedBytes: number; volumeGroup: VolumeGroup } {
  const physical = readPhysicalVolume((at, bytes) => source.read(offset + at, bytes), length);
  const volumes = physical.volumes.map((volume) => probeVolume(source, volume, offset));
  const unallocated = [...shift(physical.unallocated, offset)];
  const freeBytes = volumes.map((volume) =>
    volume.skippable && volume.usedBytes !== null ? volume.length - volume.usedBytes : 0,
  );
  const usedBytes = freeBytes.reduce((rest, free) => rest - free, length - totalLength(unallocated));
  return { uuid: physical.uuid, usedBytes, volumeGroup: { name: physical.group, volumes, unallocated } };
}

function probeVolume(source: Pick<ImageSource, 'read'>, volume: LogicalVolume, offset: number): GroupVolume {
  const pieces = [...shift(volume.pieces, offset)];
  const length = totalLength(pieces);
  const place = { name: volume.name, length, pieces };
  if (pieces.length <= MOST_PIECES) return { ...place, ...contentOf(volumeReader(source, pieces), length) };
  const reason = `the volume ${volume.name} is in too many pieces`;
  return { ...place, kind: 'unknown', clean: null, usedBytes: null, skippable: false, reason };
}

/** Reads a volume as a disk of its own. */
export function volumeReader(source: Pick<ImageSource, 'read'>, pieces: readonly Extent[]) {
  return mappedReader((offset, length) => source.read(offset, length), pieces);
}

/**
 * The extents of the region in use: all but the unallocated ones, and the free blocks of the volumes that can be trusted. Sorted,
 * disjoint, not touching; lazy.
 */
export function usedByGroup(
  source: Pick<ImageSource, 'read'>,
  region: Extent,
  { volumes, unallocated }: VolumeGroup,
): Generator<Extent> {
  return subtract(mergeTouching(usedPieces(source, region, volumes)), unallocated);
}

function* usedPieces(
  source: Pick<ImageSource, 'read'>,
  region: Extent,
  volumes: readonly GroupVolume[],
): Generator<Extent> {
  const pieces = volumes
    .flatMap((volume) => volume.pieces.map((piece, index) => ({ ...piece, index, volume })))
    .toSorted((one, other) => one.offset - other.offset);
  let position = region.offset;
  for (const { offset, length, index, volume } of pieces) {
    yield { offset: position, length: offset - position };
    const fileSystem = volume.skippable ? fileSystemOf(volume.kind) : undefined;
    const read = volumeReader(source, volume.pieces);
    if (fileSystem === undefined) yield { offset, length };
    else yield* placedInPiece(volume.pieces, index, () => fileSystem.usedExtents(read, volume.length));
    position = offset + length;
  }
  yield { offset: position, length: region.offset + region.length - position };
}
