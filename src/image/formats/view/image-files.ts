import { closeSync } from 'node:fs';
import { Failure } from '../../../failure.ts';
import { openImageFile } from '../../source/image-file.ts';
import type { FormattedImage } from '../image-format.ts';
import { closeBelow, openChain } from './backing-chain.ts';

/** The backing files of an image, the nearest first. None if they cannot be found: opening the image says why. */
export function backingFilesOf({ path, format = 'raw', backing }: FormattedImage): string[] {
  if (format === 'raw') return [];
  try {
    const file = openImageFile(path);
    try {
      const chain = openChain(file, format, backing);
      closeBelow(chain);
      return chain.slice(1).map((link) => link.path);
    } finally {
      closeSync(file.fd);
    }
  } catch (error) {
    if (error instanceof Failure) return [];
    throw error;
  }
}
