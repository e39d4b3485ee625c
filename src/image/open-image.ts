import { closeSync } from 'node:fs';
import { Failure } from '../failure.ts';
import type { OpenFormat } from './formats/image-format.ts';
import { openRawImage } from './formats/raw/raw-image.ts';
import { openImageFile } from './source/image-file.ts';
import type { ImageSource } from './source/image-source.ts';

/** Tried in this order. Any file can be a raw image, so raw comes last. */
const formats: readonly OpenFormat[] = [openRawImage];

/**
 * Opens a disk image for reading: a file or a block device. Links are followed. Throws Failure `image-missing`,
 * `image-unreadable` or `image-not-a-disk`.
 */
export async function openImage(path: string): Promise<ImageSource> {
  const file = openImageFile(path);
  try {
    for (const open of formats) {
      const source = await open(file);
      if (source !== null) return source;
    }
    throw new Failure('image-not-a-disk', `The format of ${path} is not known.`);
  } catch (error) {
    closeSync(file.fd);
    throw error;
  }
}
