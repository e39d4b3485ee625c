import { chunkGridFor, chunkLength } from '../../chunk/chunk-grid.ts';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { readExactly } from '../../image/formats/raw/read-exactly.ts';
import { openImage } from '../../image/open-image.ts';
import type { ImageSource } from '../../image/source/image-source.ts';
import { Resources } from '../../pipeline/resources.ts';
import type { SourceDisk } from '../../transfer/source-disk.ts';
import { sampledFrames } from './estimate.ts';

/**
 * The share of what a move reads that is not sent, because raw images that move before it have the same: 0 to 1. One chunk of each frame that
 * `sampleCompression` reads is compared with the same place of those images, so guests that were made from one image are found, and no others.
 */
export async function sampleShared(
  disks: readonly SourceDisk[],
  earlier: readonly string[],
  { signal }: Pick<Context, 'signal'>,
): Promise<number> {
  await using held = new Resources();
  const others: ImageSource[] = [];
  for (const path of earlier) {
    const other = await openIfThere(path);
    if (other !== null) others.push(held.hold(other));
  }
  let [sharedBytes, allBytes] = [0, 0];
  for (const disk of disks) {
    let [same, sampled] = [0, 0];
    for (const { positions } of others.length === 0 ? [] : sampledFrames(disk)) {
      signal.throwIfAborted();
      const [position = 0] = positions;
      sampled++;
      if (others.some((other) => isSameThere(disk.source, other, position))) same++;
    }
    allBytes += disk.readBytes;
    if (sampled > 0) sharedBytes += (disk.readBytes * same) / sampled;
  }
  return allBytes === 0 ? 0 : sharedBytes / allBytes;
}

/** It may have been removed meanwhile: then it shares nothing. */
async function openIfThere(path: string): Promise<ImageSource | null> {
  try {
    return await openImage(path, { isInUse: true });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return null;
  }
}

function isSameThere(source: ImageSource, other: ImageSource, position: number): boolean {
  const grid = chunkGridFor(source.sizeBytes);
  const { chunkBytes, imageBytes } = chunkGridFor(other.sizeBytes);
  const [offset, length] = [position * chunkBytes, chunkLength(grid, position)];
  if (chunkBytes !== grid.chunkBytes || offset + length > imageBytes) return false;
  const read = ({ path, fd }: ImageSource) => Buffer.from(readExactly(path, fd, offset, length));
  return read(source).equals(read(other));
}
