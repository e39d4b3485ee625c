import { type Extent, intersect, mergeTouching, shift } from '../extent/extents.ts';
import { fileSystemOf } from './file-systems.ts';
import type { ImageSource } from './source/image-source.ts';
import { usedByGroup } from './volume-group.ts';
import { regionReader, type ImageLayout } from './probe.ts';

export interface UsedExtentsOptions {
  /** Include the free blocks of file systems: only holes are left out. */
  everyBlock: boolean;
}

/**
 * The extents of an image that a faithful copy needs: its data without the free blocks of trusted file systems. The
 * rest may be zero in the copy. Sorted, disjoint, not touching, not aligned; lazy. Throws Failure `read-failed` while
 * it is iterated. Nothing may have written to the image since `layout` was found.
 */
export function usedExtents(
  source: ImageSource,
  layout: ImageLayout,
  { everyBlock }: UsedExtentsOptions,
): Iterable<Extent> {
  const data = source.dataExtents();
  return everyBlock ? data : intersect(data, usedByLayout(source, layout));
}

function usedByLayout(source: ImageSource, layout: ImageLayout): Generator<Extent> {
  return mergeTouching(usedPieces(source, layout));
}

function* usedPieces(source: ImageSource, { sizeBytes, regions }: ImageLayout): Generator<Extent> {
  let position = 0;
  for (const { offset, length, kind, skippable, volumeGroup } of regions) {
    yield { offset: position, length: offset - position };
    const fileSystem = skippable ? fileSystemOf(kind) : undefined;
    if (volumeGroup !== undefined) yield* usedByGroup(source, { offset, length }, volumeGroup);
    else if (fileSystem === undefined) yield { offset, length };
    else yield* shift(fileSystem.usedExtents(regionReader(source, offset), length), offset);
    position = offset + length;
  }
  yield { offset: position, length: sizeBytes - position };
}
