import { closeSync } from 'node:fs';
import type { ImageFormat } from './formats/image-format.ts';
import { openRawImage } from './formats/raw/raw-image.ts';
import { openViewedImage } from './formats/view/viewed-image.ts';
import { openImageFile } from './source/image-file.ts';
import type { ImageSource } from './source/image-source.ts';

export interface OpenImageOptions {
  /** From the guest's definition, the name (`formatOfName`) or the person; never from the image's content. Raw if absent. */
  format?: ImageFormat;
  /** See `FormattedImage`. */
  backing?: string;
  /**
   * Reads an image that its guest may have open, past the locks of QEMU. What is read may be inconsistent: for estimates, and
   * for what is compared with the image later. For a raw image it has no effect.
   */
  isInUse?: boolean;
  /** Lets the disk serve everybody else first. For a raw image it has no effect: its readers see to that. */
  yieldsDisk?: boolean;
}

/**
 * Opens a disk image for reading: a file or a block device. Links are followed. Throws Failure `image-missing`,
 * `image-unreadable` or `image-not-a-disk`; for another format than raw also `image-unsupported`, `image-in-use` and `program-missing`.
 */
export async function openImage(
  path: string,
  { format = 'raw', backing, isInUse = false, yieldsDisk = false }: OpenImageOptions = {},
): Promise<ImageSource> {
  const file = openImageFile(path);
  try {
    return format === 'raw'
      ? openRawImage(file)
      : await openViewedImage(file, format, { isInUse, yieldsDisk, namedBacking: backing ?? null });
  } catch (error) {
    closeSync(file.fd);
    throw error;
  }
}
