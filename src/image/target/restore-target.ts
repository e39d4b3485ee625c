import { constants, fstatSync } from 'node:fs';
import { link, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Failure } from '../../failure.ts';
import { errorCode, errorMessage } from '../../system/error-code.ts';
import { dropPageCache, tryLock } from '../../system/native.ts';
import { syncDirectory } from '../../system/sync-directory.ts';
import type { Extent } from '../../extent/extents.ts';
import { openDirectAgain, requireSameFile } from '../source/open-again.ts';
import { fileDataExtents } from '../formats/raw/file-data-extents.ts';
import { removeClaim, writeClaim, type PartialClaim } from './partial-claim.ts';
import { exists, fileTimeSeconds, partialPath, type ImageAttributes } from './partial-image.ts';
import type { RestorePlace } from './restore-place.ts';
import { requireOwnFile } from './trusted-partial.ts';

const SECTOR_BYTES = 512;

/** An image that is being restored. It is nobody's yet, or was taken from whoever had it: nothing else uses it. */
export class RestoreTarget implements AsyncDisposable {
  readonly kind: RestorePlace['kind'];
  /** The path it has at the end. */
  readonly path: string;
  /** The path it has now. */
  readonly workingPath: string;
  /** Of the image: what lies behind it on a larger device is left alone. */
  readonly imageBytes: number;
  readonly #handle: FileHandle;
  readonly #direct: FileHandle | null;

  private constructor(
    place: RestorePlace,
    imageBytes: number,
    handle: FileHandle,
    direct: FileHandle | null,
  ) {
    this.kind = place.kind;
    this.path = place.path;
    this.workingPath = workingPathOf(place);
    this.imageBytes = imageBytes;
    this.#handle = handle;
    this.#direct = direct;
  }

  /**
   * Opens the place; what is there already is not changed yet. Throws Failure `image-in-use`, `target-exists`,
   * `target-not-writable`, `target-full` or `write-failed`.
   */
  static async open(place: RestorePlace, imageBytes: number, claim: PartialClaim): Promise<RestoreTarget> {
    const path = workingPathOf(place);
    let handle: FileHandle | null = null;
    try {
      if (place.kind === 'new-file') await writeClaim(place.path, claim);
      handle = await open(path, openFlags[place.kind], 0o600);
      await requireFound(handle, place);
      if (!tryLock(handle.fd))
        throw new Failure('image-in-use', `${path} is locked by another process.`, {
          advice: 'Another restore may be making it at this moment.',
        });
      if (place.kind === 'new-file') await handle.truncate(imageBytes);
      return new RestoreTarget(place, imageBytes, handle, await openDirectAgain(handle));
    } catch (error) {
      await handle?.close();
      throw explain(error, path);
    }
  }

  get fd(): number {
    return this.#handle.fd;
  }

  /** The same opened with O_DIRECT; null where its file system cannot do that. */
  get directFd(): number | null {
    return this.#direct?.fd ?? null;
  }

  /** How what is read back is kept from coming out of the page cache. */
  get readBackMethod(): 'direct' | 'page-cache-dropped' {
    return this.#direct === null ? 'page-cache-dropped' : 'direct';
  }

  /** Whether it is known to hold nothing but zeros. */
  get isEmpty(): boolean {
    return this.kind === 'new-file';
  }

  /** Where it may hold anything but zeros: sorted, disjoint; may reach beyond the image's end. */
  *dataExtents(): Iterable<Extent> {
    const { size } = fstatSync(this.fd);
    const isImage = size > 0 && size % SECTOR_BYTES === 0;
    if (this.kind === 'block-device') yield { offset: 0, length: this.imageBytes };
    else if (isImage) yield* fileDataExtents(this.workingPath, this.fd, size);
    else if (size > 0) yield { offset: 0, length: size };
  }

  /**
   * Makes what was written survive a loss of power, and a file end where the image does; what is read from now on comes
   * from the disk.
   */
  async sync(): Promise<void> {
    try {
      if (this.kind !== 'block-device') await this.#handle.truncate(this.imageBytes);
      await this.#handle.sync();
    } catch (error) {
      throw explain(error, this.workingPath);
    }
    dropPageCache(this.fd, 0, this.imageBytes);
  }

  /** Mode, owner and time of last change; a device keeps its own. False when the owner could not be kept. */
  async setAttributes({ mode, uid, gid, modifiedMs }: ImageAttributes): Promise<boolean> {
    if (this.kind === 'block-device') return true;
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

  /** Gives a new file its name, durably. Throws Failure `target-exists` rather than replace anything. */
  async publish(): Promise<void> {
    await this.#handle.sync();
    if (this.workingPath === this.path) return;
    await requireSameFile(this.#handle, this.workingPath);
    try {
      // link(2), unlike rename(2), refuses to replace a file that came there meanwhile.
      await link(this.workingPath, this.path);
      await rm(this.workingPath);
    } catch (error) {
      if (errorCode(error) === 'EEXIST' || (await exists(this.path))) throw explain(error, this.path);
      await rename(this.workingPath, this.path);
    }
    await requireSameFile(this.#handle, this.path);
    await removeClaim(this.path);
    await syncDirectory(dirname(this.path));
  }

  /** Removes a file that has not got its name yet; what was there before stays. */
  async discard(): Promise<void> {
    if (this.kind !== 'new-file') return;
    await rm(this.workingPath, { force: true });
    await removeClaim(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#direct?.close();
    await this.#handle.close();
  }
}

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
const openFlags: Record<RestorePlace['kind'], number> = {
  'new-file': O_RDWR | O_CREAT | O_EXCL,
  'partial-file': O_RDWR | O_NOFOLLOW | O_NONBLOCK,
  // O_NONBLOCK: should a FIFO lie there by now, it is not waited for.
  file: O_RDWR | O_NONBLOCK,
  // Without O_CREAT: refused while it is mounted, and it cannot be mounted meanwhile (open(2)).
  'block-device': O_RDWR | O_EXCL,
};

function workingPathOf({ kind, path }: RestorePlace): string {
  return kind === 'new-file' || kind === 'partial-file' ? partialPath(path) : path;
}

/** Throws a Failure where something else lies at the path than was found there and looked at. */
async function requireFound(handle: FileHandle, { kind, path, identity }: RestorePlace): Promise<void> {
  if (kind === 'partial-file') await requireOwnFile(await handle.stat(), partialPath(path));
  if (identity === null) return;
  const { dev, ino } = await handle.stat({ bigint: true });
  if (dev === identity.dev && ino === identity.ino) return;
  throw new Failure('target-exists', `${path} has been replaced since it was looked at.`, {
    advice: 'Find out who else writes there, and try again.',
  });
}

function explain(error: unknown, path: string): unknown {
  if (error instanceof Failure) return error;
  const message = `${path} cannot be written: ${errorMessage(error)}.`;
  switch (errorCode(error)) {
    case '':
      return error;
    case 'EEXIST':
      return new Failure('target-exists', `${path} came to be there meanwhile.`, { cause: error });
    case 'EBUSY':
      return new Failure('image-in-use', `${path} is in use.`, { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    case 'ELOOP':
      return new Failure('target-not-writable', message, { cause: error });
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new Failure('target-full', message, {
        advice: 'Make room there, or restore to another path.',
        cause: error,
      });
    default:
      return new Failure('write-failed', message, { cause: error });
  }
}
