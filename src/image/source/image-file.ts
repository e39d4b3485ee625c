import { closeSync, constants, fstatSync, openSync, realpathSync, statSync, type Stats } from 'node:fs';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';

/** A regular file or a block device, opened for reading; an image format makes an `ImageSource` of it. */
export interface ImageFile {
  /** As the user named it: for messages. */
  namedPath: string;
  /** Absolute, links resolved. */
  path: string;
  fd: number;
  stats: Stats;
}

/**
 * Opens a regular file or a block device for reading. Links are followed. The caller closes `fd`. Throws Failure
 * `image-missing`, `image-unreadable` or `image-not-a-disk`.
 */
export function openImageFile(namedPath: string): ImageFile {
  const path = orImageFailure(namedPath, () => realpathSync(namedPath));
  // Check before opening: opening a FIFO would block, opening a tape would rewind it.
  const found = orImageFailure(namedPath, () => statSync(path));
  refuseOtherKinds(namedPath, found);
  // O_NONBLOCK: a FIFO may have replaced the file since the check, and must not block.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const fd = orImageFailure(namedPath, () => openSync(path, flags));
  try {
    const stats = fstatSync(fd);
    refuseOtherKinds(namedPath, stats);
    return { namedPath, path, fd, stats };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Turns the system's errors into Failure `image-missing` or `image-unreadable`. */
export function orImageFailure<Result>(path: string, call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new Failure('image-missing', `There is no image at ${path}.`, {
        advice: 'Check the path; a relative path starts at the current directory.',
        cause: error,
      });
    if (code === 'EACCES' || code === 'EPERM')
      throw new Failure('image-unreadable', `This user may not read the image ${path}.`, {
        advice: 'Run vmferry as the user that owns the image, or as root.',
        cause: error,
      });
    if (code !== '')
      throw new Failure('image-unreadable', `The image ${path} cannot be opened: ${code}.`, {
        advice: 'Check the kernel log (dmesg) for errors of the disk or of its file system.',
        cause: error,
      });
    throw error;
  }
}

function refuseOtherKinds(path: string, stats: Stats): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  const what = stats.isDirectory() ? 'a directory' : 'neither a file nor a block device';
  throw new Failure('image-not-a-disk', `${path} is ${what}, not a disk image.`, {
    advice: 'Name the image itself: a raw image file, a partition or a logical volume.',
  });
}
