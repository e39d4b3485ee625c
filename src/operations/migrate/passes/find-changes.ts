import type { ChunkMap } from '../../../chunk/chunk-map.ts';
import type { Context } from '../../../events.ts';
import type { DiskDefinition } from '../../../guest/definition.ts';
import type { FileBeside } from '../../../image/clones/clone.ts';
import { openImage } from '../../../image/open-image.ts';
import type { ImageSource } from '../../../image/source/image-source.ts';
import type { ApplyPool } from '../../../transfer/compare-chunks.ts';
import { areUnchanged, changedChunks } from './mark-chunks.ts';

/** An image that a pass has copied before, as it is now. */
export interface CopiedImage {
  disk: DiskDefinition;
  source: ImageSource;
  /** What the new hardware has of it. */
  there: ChunkMap;
  pool: ApplyPool;
}

/**
 * The chunks that have changed since the clone was made: 1 for each of them. Null, with a warning, if that cannot be relied on: then any chunk may
 * have changed.
 */
export async function changedSinceClone(
  image: CopiedImage,
  clone: FileBeside,
  yieldsDisk: boolean,
  context: Context,
): Promise<Uint8Array | null> {
  const { disk, source, there } = image;
  // By us: the clone is locked.
  await using before = await openImage(clone.path, { ...disk, isInUse: true, yieldsDisk });
  const changed = changedChunks(source, before, there);
  const told = 'its file system reports no change: the file system may be damaged';
  return await confirm(changed, told, image, context);
}

/** The same, of an image that no longer changes, as its hypervisor has recorded it. */
export function confirmWritten(
  written: Uint8Array,
  image: CopiedImage,
  context: Context,
): Promise<Uint8Array | null> {
  return confirm(written, 'its hypervisor has recorded no write', image, context);
}

/** Null, with a warning, if a sample shows that other chunks have changed as well. */
async function confirm(
  changed: Uint8Array,
  told: string,
  { disk, source, there, pool }: CopiedImage,
  { report }: Context,
): Promise<Uint8Array | null> {
  if (await areUnchanged(changed, source, there, pool)) return changed;
  const message = `${disk.path} has changed where ${told}. All of the image is read.`;
  report({ type: 'warning', code: 'other', message });
  return null;
}
