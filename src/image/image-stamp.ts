import { stat } from 'node:fs/promises';
import { Failure } from '../failure.ts';
import type { FormattedImage } from './formats/image-format.ts';
import { backingFilesOf } from './formats/view/image-files.ts';

/** When each image and each of its backing files was last changed, and its size, by its path. A block device always shows the same. */
export type ImageStamps = ReadonlyMap<string, string>;

export async function stampImages(disks: readonly FormattedImage[]): Promise<ImageStamps> {
  return stampFiles(disks.flatMap((disk) => [disk.path, ...backingFilesOf(disk)]));
}

/** The same for single files. */
export async function stampFiles(paths: readonly string[]): Promise<ImageStamps> {
  const stamps = paths.map(async (path) => {
    const { mtimeMs, size } = await stat(path);
    return [path, `${mtimeMs} ${size}`] as const;
  });
  return new Map(await Promise.all(stamps));
}

/** The images that were changed since the stamps were taken. */
export async function changedSince(stamps: ImageStamps): Promise<string[]> {
  const paths = [...stamps.keys()];
  const now = await stampFiles(paths);
  return paths.filter((path) => now.get(path) !== stamps.get(path));
}

/** Throws Failure `image-in-use` when an image was changed since the stamps were taken. */
export async function refuseChanged(stamps: ImageStamps, advice: string): Promise<void> {
  const changed = await changedSince(stamps);
  if (changed.length === 0) return;
  throw new Failure('image-in-use', `${changed.join(', ')} changed while it was read.`, { advice });
}
