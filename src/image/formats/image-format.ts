import type { ImageFile } from '../source/image-file.ts';
import type { ImageSource } from '../source/image-source.ts';

/**
 * Opens files of one image format. Each format has a folder beside this file, and a place in the list of
 * `image/open-image.ts`.
 *
 * Null when the file is of another format. A header alone is no proof: the guest of a raw image can write the header of
 * any format there, and name files of the host in it.
 *
 * The source takes over `file.fd`: disposing of it closes `file.fd`, and ends whatever else the format has started (an
 * exporter process, an attached network block device). If no source is returned, nothing stays started, and the caller
 * closes `file.fd`.
 */
export type OpenFormat = (file: ImageFile) => Promise<ImageSource | null>;
