import { link, lstat, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../failure.ts';
import { command, here, placed } from '../../placed-text.ts';
import { errorCode, errorMessage } from '../../system/error-code.ts';
import { syncDirectory } from '../../system/sync-directory.ts';
import type { ImageSource } from '../source/image-source.ts';
import { openDirectAgain, requireSameFile } from '../source/open-again.ts';
import { openRawImageAgain } from '../formats/raw/raw-image.ts';

export interface ImageAttributes {
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  modifiedMs: number;
}

/**
 * An image in the making: `PATH.partial`, created new, sparse and of its full size, readable by its owner only. It
 * gets its name at the very end, and never replaces a file.
 */
export class PartialImage {
  readonly path: string;
  readonly finalPath: string;
  readonly sizeBytes: number;
  readonly #handle: FileHandle;
  #hasName = false;

  private constructor(handle: FileHandle, finalPath: string, sizeBytes: number) {
    this.#handle = handle;
    this.finalPath = finalPath;
    this.path = partialPath(finalPath);
    this.sizeBytes = sizeBytes;
  }

  /** Throws Failure `target-exists`, `target-missing`, `target-not-writable`, `target-full` or `write-failed`. */
  static async create(finalPath: string, sizeBytes: number): Promise<PartialImage> {
    if (await exists(finalPath)) throw targetExists(finalPath);
    let handle: FileHandle;
    try {
      handle = await open(partialPath(finalPath), 'wx+', 0o600);
    } catch (error) {
      throw createFailure(error, finalPath);
    }
    try {
      await handle.truncate(sizeBytes);
      return new PartialImage(handle, finalPath, sizeBytes);
    } catch (error) {
      await handle.close();
      await rm(partialPath(finalPath), { force: true });
      throw createFailure(error, finalPath);
    }
  }

  get fd(): number {
    return this.#handle.fd;
  }

  /** Makes what was written so far survive a loss of power. */
  async sync(): Promise<void> {
    try {
      await this.#handle.datasync();
    } catch (error) {
      throw new Failure('write-failed', `${this.path} could not be made durable: ${errorMessage(error)}.`, {
        cause: error,
      });
    }
  }

  /** Opens it again past the page cache; null where its file system cannot do that. */
  async openDirect(): Promise<FileHandle | null> {
    return openDirectAgain(this.#handle);
  }

  /** Opens it again for reading, whatever lies at its path now. */
  openForReading(): ImageSource {
    return openRawImageAgain(this.fd, this.path);
  }

  /** Mode, owner and time of last change as the source had them. False when the owner could not be kept. */
  async setAttributes({ mode, uid, gid, modifiedMs }: ImageAttributes): Promise<boolean> {
    let ownerKept = true;
    try {
      await this.#handle.chown(uid, gid);
    } catch {
      const own = await this.#handle.stat();
      ownerKept = own.uid === uid && own.gid === gid;
    }
    await this.#handle.chmod(mode & 0o777);
    await this.#handle.utimes(fileTimeSeconds(modifiedMs), fileTimeSeconds(modifiedMs));
    return ownerKept;
  }

  /** Gives it its name, durably. Throws Failure `target-exists` rather than replace anything. */
  async publish(): Promise<void> {
    await this.#handle.sync();
    await requireSameFile(this.#handle, this.path);
    try {
      // link(2), unlike rename(2), refuses to replace a file that came there meanwhile.
      await link(this.path, this.finalPath);
      this.#hasName = true;
      await rm(this.path);
    } catch (error) {
      if (errorCode(error) === 'EEXIST') throw targetExists(this.finalPath);
      if (await exists(this.finalPath)) throw error;
      await rename(this.path, this.finalPath);
      this.#hasName = true;
    }
    await requireSameFile(this.#handle, this.finalPath);
    await syncDirectory(dirname(this.finalPath));
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** Removes the file, under its name, too, if it has got that already. */
  async discard(): Promise<void> {
    await rm(this.path, { force: true });
    if (this.#hasName) await rm(this.finalPath, { force: true });
  }
}

const LONGEST_FILE_NAME_BYTES = 255;
/** What the longest name has besides that a file has while it is made: `.partial.vmferry`. */
const WORKING_SUFFIX_BYTES = '.partial.vmferry'.length;

/** Whether a file can get this name, and while it is made a longer one. */
export function isFileNameShort(path: string): boolean {
  return Buffer.byteLength(basename(path)) + WORKING_SUFFIX_BYTES <= LONGEST_FILE_NAME_BYTES;
}

/** Of the language: file systems have narrower limits, and take the nearest time. */
const MOST_MS = 8.64e15;

/** A time as file systems take it, in seconds with their fraction: whatever a store or the other machine says. */
export function fileTimeSeconds(ms: number): number {
  return Math.min(Math.max(ms, -MOST_MS), MOST_MS) / 1000;
}

export function partialPath(finalPath: string): string {
  return join(dirname(finalPath), `${basename(finalPath)}.partial`);
}

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

export function targetExists(path: string): Failure {
  return new Failure('target-exists', placed`${path} exists already ${here}.`, {
    advice:
      'Nothing is ever overwritten: move it away there, or choose another directory with --to HOST:DIR.',
  });
}

export function directoryMissing(directory: string, cause?: unknown): Failure {
  return new Failure('target-missing', placed`There is no directory ${directory} ${here}.`, {
    advice: placed`Make it (${command('mkdir', '-p', directory)}), or choose another with --to HOST:DIR.`,
    cause,
  });
}

function createFailure(error: unknown, path: string): Failure {
  const message = `${partialPath(path)} cannot be made: ${errorMessage(error)}.`;
  switch (errorCode(error)) {
    case 'EEXIST':
      return targetExists(partialPath(path));
    case 'ENOENT':
    case 'ENOTDIR':
      return directoryMissing(dirname(path), error);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new Failure('target-not-writable', message, { cause: error });
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new Failure('target-full', message, { cause: error });
    default:
      return new Failure('write-failed', message, { cause: error });
  }
}
