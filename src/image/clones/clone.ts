import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { cloneRange, copyNoCopyOnWrite, tryLock } from '../../system/native.ts';

/** A file of our own beside an image, gone when it is disposed of. Locked: that tells it from one left behind. */
export interface FileBeside extends Disposable {
  path: string;
  /** The image that it lies beside, links resolved. */
  image: string;
  /** Open for reading and writing. */
  fd: number;
  /** Gives it to somebody else: only who disposes of the answer removes it. */
  handOver(): FileBeside;
  /** Makes it durable, and gives it a name under which it stays. Throws the system's errors. */
  keepAs(path: string): void;
}

const suffix = '.clone';
const digits = 16;
/** What can be cloned on its own is a multiple of the file system's blocks; this is one on all that have reflinks. */
const rehearsalBytes = 65_536;

/** What the names of the files beside an image begin with, links resolved. */
export function prefixOf(image: string): string {
  return `.${basename(image)}.vmferry-`;
}

/** Makes an empty file beside the image (beside the file itself, where that is a link), for this user alone. */
export function createBeside(image: string): FileBeside {
  const target = realpathSync(image);
  for (;;) {
    const name = `${prefixOf(target)}${randomBytes(digits / 2).toString('hex')}${suffix}`;
    const path = join(dirname(target), name);
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    // Between its making and its lock another vmferry may have taken it for one left behind.
    if (tryLock(fd) && fstatSync(fd).nlink > 0) return fileBeside(target, path, fd);
    closeSync(fd);
  }
}

function fileBeside(image: string, path: string, fd: number): FileBeside {
  let isOurs = true;
  return {
    path,
    image,
    fd,
    handOver() {
      isOurs = false;
      return fileBeside(image, path, fd);
    },
    keepAs(name) {
      fsyncSync(fd);
      renameSync(path, name);
      isOurs = false;
      closeSync(fd);
    },
    [Symbol.dispose]() {
      if (!isOurs) return;
      isOurs = false;
      rmSync(path, { force: true });
      closeSync(fd);
    },
  };
}

/**
 * A copy of the image as it is at this moment, made at once by sharing its blocks (a reflink: XFS, btrfs and others).
 * Throws Failure `guest-unsupported` where that is not possible, `not-permitted` or `write-failed`.
 */
export function cloneImage(image: string): FileBeside {
  return clone(image, 0);
}

/** Throws what `cloneImage` would, by trying it with the image's first blocks. Leaves nothing behind. */
export function refuseUncloneable(image: string): void {
  clone(image, rehearsalBytes)[Symbol.dispose]();
}

function clone(image: string, mostBytes: number): FileBeside {
  let source: number | null = null;
  let target: FileBeside | null = null;
  try {
    source = openSync(image, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(source);
    if (!stats.isFile()) throw cannotClone(image, 'it is not a file');
    target = createBeside(image);
    copyNoCopyOnWrite(source, target.fd);
    const length = mostBytes < stats.size ? mostBytes : 0;
    cloneRange({ sourceFd: source, sourceOffset: 0, length, targetFd: target.fd, targetOffset: 0 });
    return target;
  } catch (error) {
    target?.[Symbol.dispose]();
    throw asCloneFailure(image, error);
  } finally {
    if (source !== null) closeSync(source);
  }
}

/** What ioctl_ficlonerange(2) answers where there are no reflinks. */
const withoutReflinks = new Set(['EOPNOTSUPP', 'ENOTSUP', 'ENOTTY', 'EXDEV', 'EINVAL', 'ENOSYS']);

function asCloneFailure(image: string, error: unknown): unknown {
  const code = errorCode(error);
  if (error instanceof Failure || code === '') return error;
  if (withoutReflinks.has(code)) return cannotClone(image, 'the file system that it lies on has no reflinks');
  if (['EACCES', 'EPERM', 'EROFS'].includes(code))
    return new Failure('not-permitted', `No file may be made beside the image ${image}: ${code}.`, {
      advice: `A clone of the image goes there while it is read: run vmferry as a user that may write there. Or without a clone: ${withoutClone}`,
      cause: error,
    });
  return new Failure('write-failed', `The image ${image} could not be cloned: ${code}.`, {
    advice: `Make room on its file system. Or without a clone: ${withoutClone}`,
    cause: error,
  });
}

const withoutClone =
  'with --pause the guest is stopped for as long as it is read, with --halt it is halted, backed up and started again.';

function cannotClone(image: string, reason: string): Failure {
  return new Failure('guest-unsupported', `The image ${image} cannot be cloned in a moment: ${reason}.`, {
    advice: `Reflinks are there on XFS and btrfs. Elsewhere: ${withoutClone}`,
  });
}

/**
 * Removes the clones of this image that runs of vmferry which have died left behind, and gives their paths. Those of
 * runs that live are locked; that holds across machines and containers, too, as process ids would not.
 */
export function removeStaleClones(image: string): string[] {
  const target = realpathSync(image);
  const prefix = prefixOf(target);
  return readdirSync(dirname(target))
    .filter((name) => name.startsWith(prefix) && isCloneEnding(name.slice(prefix.length)))
    .map((name) => join(dirname(target), name))
    .filter(removeUnlessLocked);
}

function isCloneEnding(text: string): boolean {
  return text.length === digits + suffix.length && /^[0-9a-f]+\.clone$/.test(text);
}

function removeUnlessLocked(path: string): boolean {
  try {
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    try {
      // Locked while it is removed: its maker, should there be one just now, sees that and makes another.
      if (!fstatSync(fd).isFile() || !tryLock(fd)) return false;
      rmSync(path);
      return true;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // Gone meanwhile, or another user's: it is in nobody's way.
    if (errorCode(error) === '') throw error;
    return false;
  }
}
