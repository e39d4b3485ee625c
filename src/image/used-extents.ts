import { type Extent, intersect, mergeTouching, shift } from '../extent/extents.ts';
import { extUsedExtents } from './file-systems/ext/used-blocks.ts';
import type { ImageSource } from './source/image-source.ts';
import { regionReader, type ImageLayout } from './probe.ts';

export interface UsedExtentsOptions {
  /** Take free blocks of file systems, too: only holes are left out. */
  everyBlock: boolean;
}

/**
 * What of an image must be read for a faithful copy: where it holds data, less the free blocks of the file systems
 * that can be trusted. Sorted, disjoint, not touching, aligned to nothing; lazy. All the rest may read as zero in the
 * copy. Throws Failure `read-failed` while it is walked through. The image must not have been written to since
 * `layout` was found.
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
  for (const { offset, length, skippable } of regions) {
    yield { offset: position, length: offset - position };
    if (skippable) yield* shift(extUsedExtents(regionReader(source, offset), length), offset);
    else yield { offset, length };
    position = offset + length;
  }
  yield { offset: position, length: sizeBytes - position };
}
