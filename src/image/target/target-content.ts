import type { FileHandle } from 'node:fs/promises';
import { fstatSync } from 'node:fs';
import type { Extent } from '../../extent/extents.ts';
import { dropPageCache } from '../../system/native.ts';
import { fileDataExtents } from '../formats/raw/file-data-extents.ts';
import { openDirectAgain } from '../source/open-again.ts';
import type { TargetPlace } from './place.ts';

/** The disk in an image that is being written, as a file that has its layout. */
export interface TargetContent {
  /** Gives and takes the disk's bytes at any offset. */
  fd: number;
  /** The same with O_DIRECT; null where that is not possible. */
  directFd: number | null;
  /** How reading back avoids the page cache. */
  readBackMethod: 'direct' | 'page-cache-dropped';
  /** Where there may be anything but zeros: sorted, disjoint; may reach beyond the image's end. */
  dataExtents(): Iterable<Extent>;
  /** Makes what was written survive a loss of power. Throws the system's errors. */
  sync(): Promise<void>;
  /** Call it after `sync`: the next read of these ranges comes from the disk. */
  forgetCached(extents: Iterable<Extent>): void;
  /** Completes the image file. Nothing can be read or written after that. To be called once. */
  close(): Promise<void>;
}

/** A raw image: the file or device itself. */
export async function rawContent(
  { kind, path }: Pick<TargetPlace, 'kind' | 'path'>,
  handle: FileHandle,
  imageBytes: number,
): Promise<TargetContent> {
  const direct = await openDirectAgain(handle);
  return {
    fd: handle.fd,
    directFd: direct?.fd ?? null,
    readBackMethod: direct === null ? 'page-cache-dropped' : 'direct',
    dataExtents() {
      if (kind === 'block-device') return [{ offset: 0, length: imageBytes }];
      return fileDataExtents(path, handle.fd, fstatSync(handle.fd).size);
    },
    async sync() {
      // Cuts a file that was there already to the image's size.
      if (kind === 'file' || kind === 'partial-file') await handle.truncate(imageBytes);
      await handle.datasync();
    },
    forgetCached(extents) {
      for (const { offset, length } of extents) dropPageCache(handle.fd, offset, length);
    },
    close: async () => direct?.close(),
  };
}
