import { basename, resolve } from 'node:path';
import { Failure } from '../failure.ts';
import { formatOfName, type ImageFormat } from '../image/formats/image-format.ts';
import { isGuestName, type DiskDefinition, type GuestDefinition } from './definition.ts';

/**
 * The definition of an image that no guest uses, in the form of a guest with one disk and no kernel. The caller checks that
 * the image exists and that nothing uses it. Throws Failure `guest-unsupported`.
 * @param format its format; by its name unless given
 */
export function offlineDefinition(path: string, format: ImageFormat = formatOfName(path)): GuestDefinition {
  const image = resolve(path);
  const name = basename(image);
  if (!isGuestName(name))
    throw new Failure(
      'guest-unsupported',
      `The image ${image} has a name that vmferry cannot use for a guest.`,
      {
        advice:
          'Rename it: at most 200 bytes, and it must not begin with a dot or a dash, such as `guest.img`.',
      },
    );
  return imagesDefinition(name, [{ path: image, ...(format !== 'raw' && { format }) }]);
}

/** The same of several images, which are one guest's. */
export function imagesDefinition(
  name: string,
  images: readonly Pick<DiskDefinition, 'path' | 'format'>[],
): GuestDefinition {
  return {
    name,
    driver: 'offline',
    memoryBytes: null,
    cpuCount: null,
    kernel: null,
    initrd: null,
    disks: images.map((image, index) => ({ device: `disk${index}`, readOnly: false, ...image })),
    commandLine: [],
  };
}
