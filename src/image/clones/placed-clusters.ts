import { closeSync } from 'node:fs';
import { mappedExtents } from '../../system/extent-map.ts';
import { storedRanges, type StoredRange } from '../formats/containers/qcow2-clusters.ts';
import { headerFile } from '../formats/view/backing-chain.ts';
import { openImageFile } from '../source/image-file.ts';
import type { PlacedExtent } from './changed-extents.ts';

/**
 * Where the bytes of the disk in a qcow2 image lie on the disk that has the image, as far as they lie there as they are. The places of
 * the file are kept in memory: some 100 bytes for each of its extents. Throws SystemCallError, and Failure as `storedRanges`.
 */
export function* placedClusters(path: string): Generator<PlacedExtent> {
  const file = openImageFile(path);
  try {
    if (!file.stats.isFile()) return;
    const placed = [...placedOnly(file.fd, file.stats.size)];
    for (const range of storedRanges(headerFile(file))) yield* placesOf(range, placed);
  } finally {
    closeSync(file.fd);
  }
}

function* placedOnly(fd: number, sizeBytes: number): Generator<PlacedExtent> {
  for (const { offset, length, place } of mappedExtents(fd, sizeBytes))
    if (place !== null) yield { offset, length, place };
}

/** @param placed the extents of the file, sorted and disjoint */
export function* placesOf(
  { offset, length, fileOffset }: StoredRange,
  placed: readonly PlacedExtent[],
): Generator<PlacedExtent> {
  const fileEnd = fileOffset + length;
  for (let index = firstEndingAfter(fileOffset, placed); index < placed.length; index++) {
    const extent = placed[index];
    if (extent === undefined || extent.offset >= fileEnd) return;
    const from = Math.max(extent.offset, fileOffset);
    const end = Math.min(extent.offset + extent.length, fileEnd);
    yield {
      offset: offset + from - fileOffset,
      length: end - from,
      place: extent.place + from - extent.offset,
    };
  }
}

function firstEndingAfter(position: number, placed: readonly PlacedExtent[]): number {
  let [low, high] = [0, placed.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const extent = placed[middle];
    if (extent !== undefined && extent.offset + extent.length <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}
