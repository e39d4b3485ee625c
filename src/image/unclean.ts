import { openImage } from './open-image.ts';
import type { FormattedImage } from './formats/image-format.ts';
import { contentsOf, probeImage } from './probe.ts';

/** Whether a file system in the image was not unmounted cleanly. Throws the failures of `openImage`, and `read-failed`. */
export async function isUnclean(disk: FormattedImage): Promise<boolean> {
  await using image = await openImage(disk.path, disk);
  return contentsOf(probeImage(image)).some(({ clean }) => clean === false);
}
