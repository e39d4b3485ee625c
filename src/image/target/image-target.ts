import { constants } from 'node:fs';
import { link, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../../failure.ts';
import { errorCode } from '../../system/error-code.ts';
import { tryLock } from '../../system/native.ts';
import { syncDirectory } from '../../system/sync-directory.ts';
import type { Extent } from '../../extent/extents.ts';
import { readExactlyInto } from '../formats/raw/read-exactly.ts';
import { requireSameFile } from '../source/open-again.ts';
import { setFileAttributes, type ImageAttributes } from './file-attributes.ts';
import { qcow2Content } from './qcow2-content.ts';
import { rawContent, type TargetContent } from './target-content.ts';
import type { TargetFormat } from './target-format.ts';
import { removeClaim, writeClaim, type PartialClaim } from './partial-claim.ts';
import { directoryMissing, targetExists, writeFailureOf } from './target-failures.ts';
import { exists, partialPath } from './target-path.ts';
import { newFilePlace, type TargetPlace } from './place.ts';
import { requireOwnFile } from './trusted-partial.ts';

/**
 * An image that is being written: a file that gets its name when it is complete, or a file or block device that is
 * overwritten in place. It is exclusively ours: newly made, or locked. A new file is sparse, of full size from the
 * beginning, readable by its owner only, and never replaces another.
 */
export class ImageTarget implements AsyncDisposable {
  readonly kind: TargetPlace['kind'];
  /** The path it has at the end. */
  readonly path: string;
  /** The path it has now. */
  readonly workingPath: string;
  /** The size of the disk. The bytes of a larger device behind the image are kept. */
  readonly imageBytes: number;
  /** How reading back avoids the page cache. */
  readonly readBackMethod: TargetContent['readBackMethod'];
  /** The image file or device itself. */
  readonly #handle: FileHandle;
  /** Null when the image file is complete. */
  #content: TargetContent | null;
  readonly #hasClaim: boolean;
  #hasName = false;

  private constructor(
    { kind, path }: TargetPlace,
    imageBytes: number,
    files: { handle: FileHandle; content: TargetContent; hasClaim: boolean },
  ) {
    this.kind = kind;
    this.path = path;
    this.workingPath = workingPathOf(kind, path);
    this.imageBytes = imageBytes;
    this.#handle = files.handle;
    this.#content = files.content;
    this.readBackMethod = files.content.readBackMethod;
    this.#hasClaim = files.hasClaim;
  }

  /** Makes a new file. Parameters and errors are those of `open`. */
  static async create(
    path: string,
    imageBytes: number,
    format: TargetFormat = 'raw',
    claim: PartialClaim | null = null,
  ): Promise<ImageTarget> {
    if (await exists(path)) throw targetExists(path);
    return ImageTarget.open(newFilePlace(path, imageBytes), imageBytes, claim, format);
  }

  /**
   * Opens the place. Does not change what is there already. Throws Failure `image-in-use`, `target-exists`,
   * `target-missing`, `target-not-writable`, `target-full` or `write-failed`; for qcow2 also `program-missing` and `usage`.
   * @param claim lets a later process continue an incomplete file; null: none may
   */
  static async open(
    place: TargetPlace,
    imageBytes: number,
    claim: PartialClaim | null,
    format: TargetFormat = 'raw',
  ): Promise<ImageTarget> {
    const { kind } = place;
    const path = workingPathOf(kind, place.path);
    let handle: FileHandle | null = null;
    let isMade = false;
    try {
      if (kind === 'new-file' && claim !== null) await writeClaim(place.path, claim);
      handle = await open(path, openFlags[kind], 0o600);
      await requireFound(handle, place);
      // Another process can have opened a new file only if the file has a claim.
      if ((kind !== 'new-file' || claim !== null) && !tryLock(handle.fd))
        throw new Failure('image-in-use', `${path} is being written by another process.`, {
          advice: 'Wait until that has ended.',
          transient: true,
        });
      isMade = kind === 'new-file';
      if (isMade && format === 'raw') await handle.truncate(imageBytes);
      const makeContent = format === 'raw' ? rawContent : qcow2Content;
      const content = await makeContent({ kind, path }, handle, imageBytes);
      return new ImageTarget(place, imageBytes, { handle, content, hasClaim: claim !== null });
    } catch (error) {
      await handle?.close();
      if (isMade) await removePartial(place.path, claim !== null);
      const isGone = errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR';
      throw kind === 'new-file' && isGone
        ? directoryMissing(dirname(path), error)
        : writeFailureOf(error, path);
    }
  }

  /** Gives and takes the disk's bytes, whatever the format is. */
  get fd(): number {
    return this.#requireContent().fd;
  }

  /** The same with O_DIRECT; null if that is not possible. */
  get directFd(): number | null {
    return this.#requireContent().directFd;
  }

  /** Whether a later process can continue it. */
  get hasClaim(): boolean {
    return this.#hasClaim;
  }

  /** Whether it certainly held nothing but zeros when it was opened. */
  get isEmpty(): boolean {
    return this.kind === 'new-file';
  }

  /** The extents that may hold anything but zeros: sorted, disjoint; may reach beyond the image's end. */
  dataExtents(): Iterable<Extent> {
    return this.#requireContent().dataExtents();
  }

  /** Fills the memory with what the disk holds at this offset. Throws Failure `read-failed`. */
  readInto(memory: Uint8Array, offset: number): void {
    const { buffer, byteOffset, length } = memory;
    readExactlyInto(Buffer.from(buffer, byteOffset, length), this.workingPath, this.fd, offset);
  }

  /** Cuts a new file to this size, which is at most that of the image: its end turned out to be earlier. Call it after reading back. */
  async cutTo(sizeBytes: number): Promise<void> {
    if (this.kind !== 'new-file') return;
    await this.#complete();
    await this.#handle.truncate(sizeBytes);
  }

  /** Makes what was written survive a loss of power. Cuts a file that was there already to the image's size. */
  async sync(): Promise<void> {
    try {
      await this.#requireContent().sync();
    } catch (error) {
      throw writeFailureOf(error, this.workingPath);
    }
  }

  /** Call it after `sync`: the next read of these ranges comes from the disk. */
  forgetCached(extents: Iterable<Extent>): void {
    this.#requireContent().forgetCached(extents);
  }

  /**
   * Completes the image, and sets mode, owner and time of last change, except on a device. False when the owner could
   * not be set. Nothing can be read or written after that.
   */
  async setAttributes(attributes: ImageAttributes): Promise<boolean> {
    await this.#complete();
    return this.kind === 'block-device' || setFileAttributes(this.#handle, attributes);
  }

  /** Gives a new file its name, durably. Throws Failure `target-exists` if there is a file of that name. */
  async publish(): Promise<void> {
    await this.#complete();
    await this.#handle.sync();
    if (this.workingPath === this.path) return;
    await requireSameFile(this.#handle, this.workingPath);
    try {
      // link(2), unlike rename(2), never replaces a file.
      await link(this.workingPath, this.path);
      this.#hasName = true;
      await rm(this.workingPath);
    } catch (error) {
      if (errorCode(error) === 'EEXIST' || (await exists(this.path))) throw writeFailureOf(error, this.path);
      await rename(this.workingPath, this.path);
      this.#hasName = true;
    }
    await requireSameFile(this.#handle, this.path);
    if (this.#hasClaim) await removeClaim(this.path);
    await syncDirectory(dirname(this.path));
  }

  /** Removes a new file, also if it has got its final name. What was there before stays. */
  async discard(): Promise<void> {
    if (this.kind === 'new-file') await this.remove();
  }

  /** Removes a new file, and an incomplete one that an earlier process has begun. */
  async remove(): Promise<void> {
    if (this.kind !== 'new-file' && this.kind !== 'partial-file') return;
    await removePartial(this.path, this.#hasClaim);
    if (this.#hasName) await rm(this.path, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#complete();
    } finally {
      await this.#handle.close();
    }
  }

  #requireContent(): TargetContent {
    if (this.#content === null) throw new Error(`${this.workingPath} is complete already`);
    return this.#content;
  }

  async #complete(): Promise<void> {
    const content = this.#content;
    this.#content = null;
    await content?.close();
  }
}

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
const openFlags: Record<TargetPlace['kind'], number> = {
  'new-file': O_RDWR | O_CREAT | O_EXCL,
  'partial-file': O_RDWR | O_NOFOLLOW | O_NONBLOCK,
  // O_NONBLOCK: does not wait if a FIFO has replaced the file.
  file: O_RDWR | O_NONBLOCK,
  // O_EXCL without O_CREAT: fails while the device is mounted, and keeps it from being mounted (open(2)).
  'block-device': O_RDWR | O_EXCL,
};

function workingPathOf(kind: TargetPlace['kind'], path: string): string {
  return kind === 'new-file' || kind === 'partial-file' ? partialPath(path) : path;
}

async function removePartial(path: string, hasClaim: boolean): Promise<void> {
  await rm(partialPath(path), { force: true });
  if (hasClaim) await removeClaim(path);
}

/** Throws a Failure unless the opened file is the one that was found at the path before. */
async function requireFound(handle: FileHandle, { kind, path, identity }: TargetPlace): Promise<void> {
  if (kind === 'partial-file') await requireOwnFile(await handle.stat(), partialPath(path));
  if (identity === null) return;
  const { dev, ino } = await handle.stat({ bigint: true });
  if (dev === identity.dev && ino === identity.ino) return;
  throw new Failure('target-exists', `${path} has been replaced since it was checked.`, {
    advice: 'Find out what else writes there, and try again.',
  });
}
