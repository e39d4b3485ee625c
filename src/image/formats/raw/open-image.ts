import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  realpathSync,
  statSync,
  type Stats,
} from 'node:fs';
import { Failure } from '../../../failure.ts';
import { placed, vmferry } from '../../../placed-text.ts';
import { SystemCallError, blockDeviceSizeBytes, seekData, seekHole } from '../../../system/native.ts';
import { type Extent, mergeTouching } from '../../../extent/extents.ts';
import type { ImageSource } from '../../source/image-source.ts';
import { errorCode } from '../../../system/error-code.ts';

const SECTOR_BYTES = 512;
/** `st_blocks` counts these, whatever the file system's own blocks are (stat(2)). */
const STAT_BLOCK_BYTES = 512;

/**
 * Opens a disk image for reading: a raw file or a block device. Links are followed. Throws Failure `image-missing`,
 * `image-unreadable` or `image-not-a-disk`.
 */
export function openImage(path: string): ImageSource {
  const resolved = attempt(path, () => realpathSync(path));
  // look before opening: opening a FIFO would wait, opening a tape would rewind it
  checkKind(
    path,
    attempt(path, () => statSync(resolved)),
  );
  // what is looked at may be replaced before it is opened: never wait for a FIFO
  const fd = attempt(path, () =>
    openSync(resolved, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
  );
  try {
    const stats = fstatSync(fd);
    checkKind(path, stats);
    return makeSource(path, resolved, fd, stats);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Opens an image that is open already once more, for reading, whatever lies at its path by now. Throws as `openImage`.
 * @param path for people
 */
export function openImageAgain(openFd: number, path: string): ImageSource {
  const fd = attempt(path, () => openSync(`/proc/self/fd/${openFd}`, 'r'));
  try {
    return makeSource(path, path, fd, fstatSync(fd));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function attempt<Result>(path: string, call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new Failure('image-missing', `There is no image at ${path}.`, {
        advice: 'Check the path; a relative one counts from the current directory.',
        cause: error,
      });
    if (code === 'EACCES' || code === 'EPERM')
      throw new Failure('image-unreadable', `The image ${path} may not be read by this user.`, {
        advice: 'Run vmferry as the user that owns the image, or as root.',
        cause: error,
      });
    if (code !== '')
      throw new Failure('image-unreadable', `The image ${path} cannot be opened: ${code}.`, {
        advice: 'Look at the kernel log (dmesg) for what the disk or the file system below says.',
        cause: error,
      });
    throw error;
  }
}

function checkKind(path: string, stats: Stats): void {
  if (stats.isFile() || stats.isBlockDevice()) return;
  const what = stats.isDirectory() ? 'a directory' : 'neither a file nor a block device';
  throw new Failure('image-not-a-disk', `${path} is ${what}, not a disk image.`, {
    advice: 'Name the image itself: a raw image file, a partition or a logical volume.',
  });
}

function checkSize(path: string, sizeBytes: number): void {
  if (sizeBytes === 0)
    throw new Failure('image-not-a-disk', `${path} is empty (0 bytes), so it is no disk image.`, {
      advice: 'Check that this is the right file, and that whatever copied it there has finished.',
    });
  if (sizeBytes % SECTOR_BYTES !== 0)
    throw new Failure(
      'image-not-a-disk',
      `${path} has ${sizeBytes} bytes, which is not a multiple of ${SECTOR_BYTES}, so it is no whole disk image.`,
      {
        advice:
          'It is probably a truncated copy: compare it with its original. If it is known to be whole, fill up ' +
          `its last sector with: truncate -s %${SECTOR_BYTES} '${path.replaceAll("'", String.raw`'\''`)}'`,
      },
    );
}

function makeSource(path: string, resolved: string, fd: number, stats: Stats): ImageSource {
  const isFile = stats.isFile();
  const sizeBytes = isFile ? stats.size : attempt(path, () => blockDeviceSizeBytes(fd));
  checkSize(path, sizeBytes);
  let open = true;
  return {
    path: resolved,
    kind: isFile ? 'file' : 'block-device',
    fd,
    sizeBytes,
    allocatedBytes: isFile ? stats.blocks * STAT_BLOCK_BYTES : sizeBytes,
    dataExtents: () => (isFile ? fileExtents(resolved, fd, sizeBytes) : [{ offset: 0, length: sizeBytes }]),
    read: (offset, length) => readExactly(resolved, fd, offset, length),
    [Symbol.dispose]() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

/** SEEK_DATA is answered with these where the file system does not know it (lseek(2)). */
const seekUnsupported = new Set(['EINVAL', 'EOPNOTSUPP', 'ENOTSUP']);

function fileExtents(path: string, fd: number, sizeBytes: number): Generator<Extent> {
  return mergeTouching(seekExtents(path, fd, sizeBytes));
}

function* seekExtents(path: string, fd: number, sizeBytes: number): Generator<Extent> {
  let position = 0;
  while (position < sizeBytes) {
    const found = nextData(path, fd, position, sizeBytes);
    if (found === null) return;
    yield found;
    position = found.offset + found.length;
  }
}

function nextData(path: string, fd: number, from: number, sizeBytes: number): Extent | null {
  try {
    const offset = seekData(fd, from);
    if (offset === null || offset >= sizeBytes) return null;
    // no answer: the file became shorter meanwhile, which the read will find
    const end = Math.min(seekHole(fd, offset) ?? sizeBytes, sizeBytes);
    return { offset, length: end - offset };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    if (seekUnsupported.has(error.code)) return { offset: from, length: sizeBytes - from };
    throw new Failure('read-failed', `Where ${path} holds data cannot be asked: ${error.message}.`, {
      cause: error,
    });
  }
}

function readExactly(path: string, fd: number, offset: number, length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = readSome(path, fd, bytes, done, offset + done);
    if (count === 0)
      throw new Failure(
        'read-failed',
        `${path} ended at byte ${offset + done}: it became shorter while it was read.`,
        {
          advice: placed`Something changes the image: find out what (${vmferry('inspect', path)} tells who has it open), then try again.`,
        },
      );
    done += count;
  }
  return bytes;
}

function readSome(path: string, fd: number, into: Buffer, at: number, position: number): number {
  for (;;) {
    try {
      return readSync(fd, into, at, into.length - at, position);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'EINTR') continue;
      throw new Failure(
        'read-failed',
        `${path} cannot be read at byte ${position}: ${code ?? String(error)}.`,
        {
          advice:
            'The disk below may be failing: look at the kernel log (dmesg), and rescue what is readable first.',
          cause: error,
        },
      );
    }
  }
}
