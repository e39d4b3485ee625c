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
import { saysWithoutReflinks } from './without-reflinks.ts';

/** A file of ours beside an image, removed when disposed of. It is locked; a file that was left behind is not. */
export interface FileBeside extends Disposable {
  path: string;
  /** The image beside it, links resolved. */
  image: string;
  /** Open for reading and writing. */
  fd: number;
  /** Hands it over: from then on only the returned object removes it. */
  handOver(): FileBeside;
  /** Makes it durable, and renames it: it is then kept. Throws the system's errors. */
  keepAs(path: string): void;
}

const suffix = '.clone';
const digits = 16;
/** A clone has to be whole blocks; this is a multiple of the block size on all file systems with reflinks. */
const rehearsalBytes = 65_536;

/** How the names of our files beside an image begin. `image` has its links resolved. */
export function prefixOf(image: string): string {
  return `.${basename(image)}.vmferry-`;
}

/** Makes an empty file beside the image, readable by this user only; when the image is a link, beside its target. */
export function createBeside(image: string): FileBeside {
  const target = realpathSync(image);
  for (;;) {
    const name = `${prefixOf(target)}${randomBytes(digits / 2).toString('hex')}${suffix}`;
    const path = join(dirname(target), name);
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    // Another vmferry may have taken the file for a leftover, and removed it, before it was locked.
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
 * Copies the image as it is at this moment, without delay, by sharing its blocks (a reflink: XFS, btrfs and others).
 * Throws Failure `guest-unsupported` where the file system cannot do that, `not-permitted` or `write-failed`.
 */
export function cloneImage(image: string): FileBeside {
  return clone(image, 0);
}

/** Clones the first blocks of the image, as a test, and removes them. Throws as `cloneImage`. */
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

function asCloneFailure(image: string, error: unknown): unknown {
  const code = errorCode(error);
  if (error instanceof Failure || code === '') return error;
  if (saysWithoutReflinks(error)) return cannotClone(image, 'its file system has no reflinks');
  if (['EACCES', 'EPERM', 'EROFS'].includes(code))
    return new Failure('not-permitted', `No file can be created beside the image ${image}: ${code}.`, {
      advice: `vmferry puts a clone of the image there while it reads it: run it as a user that may write there. Or do without a clone: ${withoutClone}`,
      cause: error,
    });
  return new Failure('write-failed', `The image ${image} could not be cloned: ${code}.`, {
    advice: `Make room on its file system. Or do without a clone: ${withoutClone}`,
    cause: error,
  });
}

const withoutClone =
  '--pause stops the guest while its image is read, --halt halts it and starts it again after the backup.';

function cannotClone(image: string, reason: string): Failure {
  return new Failure('guest-unsupported', `The image ${image} cannot be cloned: ${reason}.`, {
    advice: `XFS and btrfs have reflinks. Elsewhere, ${withoutClone}`,
  });
}

/**
 * Removes the clones of this image that killed runs of vmferry left behind, and returns their paths. Clones in use are
 * locked. Other machines and containers see locks, but not process ids.
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
      // The file is locked while it is removed: a run that has just made it sees the lock, and makes another file.
      if (!fstatSync(fd).isFile() || !tryLock(fd)) return false;
      rmSync(path);
      return true;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    // The file is gone meanwhile, or belongs to another user.
    if (errorCode(error) === '') throw error;
    return false;
  }
}
