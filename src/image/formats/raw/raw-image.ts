import { closeSync } from 'node:fs';
import { Failure } from '../../../failure.ts';
import { quoteForShell } from '../../../quote-for-shell.ts';
import { blockDeviceSizeBytes } from '../../../system/native.ts';
import { orImageFailure, type ImageFile } from '../../source/image-file.ts';
import type { ImageSource } from '../../source/image-source.ts';
import { fileDataExtents } from './file-data-extents.ts';
import { readExactly } from './read-exactly.ts';

const SECTOR_BYTES = 512;
/** The unit of `st_blocks`, whatever the block size of the file system is (stat(2)). */
const STAT_BLOCK_BYTES = 512;

/** The image's bytes are those of the file or block device. Throws Failure `image-not-a-disk` for an impossible size. */
export function openRawImage({ namedPath, path, fd, stats }: ImageFile): ImageSource {
  const isFile = stats.isFile();
  const sizeBytes = isFile ? stats.size : orImageFailure(namedPath, () => blockDeviceSizeBytes(fd));
  requireWholeSectors(namedPath, sizeBytes);
  let isOpen = true;
  return {
    path,
    kind: isFile ? 'file' : 'block-device',
    format: 'raw',
    container: null,
    fd,
    sizeBytes,
    allocatedBytes: isFile ? stats.blocks * STAT_BLOCK_BYTES : sizeBytes,
    dataExtents: () => (isFile ? fileDataExtents(path, fd, sizeBytes) : [{ offset: 0, length: sizeBytes }]),
    read: (offset, length) => readExactly(path, fd, offset, length),
    async [Symbol.asyncDispose]() {
      if (isOpen) closeSync(fd);
      isOpen = false;
      return Promise.resolve();
    },
  };
}

function requireWholeSectors(path: string, sizeBytes: number): void {
  if (sizeBytes === 0)
    throw new Failure('image-not-a-disk', `${path} is empty (0 bytes), so it is not a disk image.`, {
      advice: 'Check that this is the right file, and that whatever copied it there has finished.',
    });
  if (sizeBytes % SECTOR_BYTES !== 0)
    throw new Failure(
      'image-not-a-disk',
      `${path} has ${sizeBytes} bytes, which is not a multiple of ${SECTOR_BYTES}, so it is not a whole disk image.`,
      {
        advice:
          'It is probably a truncated copy: compare it with its original. If it is known to be whole, fill up ' +
          `its last sector with: truncate -s %${SECTOR_BYTES} ${quoteForShell(path)}`,
      },
    );
}
