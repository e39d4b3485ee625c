import { stat } from 'node:fs/promises';
import { Failure } from '../../failure.ts';

/** When each image was last changed, and its size, by its path. A block device always shows the same. */
export type ImageStamps = ReadonlyMap<string, string>;

export async function stampImages(disks: readonly { path: string }[]): Promise<ImageStamps> {
  const stamps = disks.map(async ({ path }) => {
    const { mtimeMs, size } = await stat(path);
    return [path, `${mtimeMs} ${size}`] as const;
  });
  return new Map(await Promise.all(stamps));
}

/** The images that were changed since the stamps were taken. */
export async function changedSince(stamps: ImageStamps): Promise<string[]> {
  const paths = [...stamps.keys()];
  const now = await stampImages(paths.map((path) => ({ path })));
  return paths.filter((path) => now.get(path) !== stamps.get(path));
}

/** Throws Failure `image-in-use` when an image was changed since the stamps were taken. */
export async function refuseChanged(stamps: ImageStamps, advice: string): Promise<void> {
  const changed = await changedSince(stamps);
  if (changed.length === 0) return;
  throw new Failure('image-in-use', `${changed.join(', ')} changed while it was read.`, { advice });
}
