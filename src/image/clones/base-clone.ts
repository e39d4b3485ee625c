import { readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorCode } from '../../system/error-code.ts';
import { prefixOf, type FileBeside } from './clone.ts';
import type { ImageSource } from '../source/image-source.ts';
import { openImage } from '../open-image.ts';

/*
 * A base is a clone that is kept beside an image: the image as it was in a snapshot (doc/second-pass.md). Its name
 * tells the snapshot.
 */

const FINGERPRINT_DIGITS = 32;
const SHA_256 = 'sha256:';
const ending = new RegExp(
  String.raw`^([0-9a-f]{32})-(\d{8}T\d{6}Z-[0-9a-f]{8})-([0-9a-f]{${FINGERPRINT_DIGITS}})\.base$`,
);

/** The state of an image that a base holds. */
export interface BaseOf {
  storeId: string;
  snapshotId: string;
  /** The fingerprint of the disk in that snapshot, `sha256:…`; only its beginning, if it was read from a file name. */
  fingerprint: string;
}

export interface BaseClone extends BaseOf {
  path: string;
}

/** Renames the clone to a base. Throws the system's errors; the clone is then unchanged. */
export function keepAsBase(clone: FileBeside, of: BaseOf): void {
  clone.keepAs(join(dirname(clone.image), baseName(clone.image, of)));
}

function baseName(image: string, { storeId, snapshotId, fingerprint }: BaseOf): string {
  const digits = fingerprint.slice(SHA_256.length, SHA_256.length + FINGERPRINT_DIGITS);
  return `${prefixOf(image)}${storeId}-${snapshotId}-${digits}.base`;
}

/** The bases of an image, those of the latest snapshots first; none where its directory cannot be read. */
export function findBases(image: string): BaseClone[] {
  try {
    const target = realpathSync(image);
    const directory = dirname(target);
    const prefix = prefixOf(target);
    return readdirSync(directory)
      .filter((name) => name.startsWith(prefix))
      .flatMap((name) => parseBase(join(directory, name), prefix))
      .toSorted((first, second) => (first.snapshotId < second.snapshotId ? 1 : -1));
  } catch (error) {
    if (errorCode(error) === '') throw error;
    return [];
  }
}

function parseBase(path: string, prefix: string): BaseClone[] {
  const [, storeId, snapshotId, digits] = ending.exec(basename(path).slice(prefix.length)) ?? [];
  if (storeId === undefined || snapshotId === undefined || digits === undefined) return [];
  return [{ path, storeId, snapshotId, fingerprint: SHA_256 + digits }];
}

/** Whether the base holds the state with this fingerprint. */
export function isBaseOf(base: Pick<BaseOf, 'fingerprint'>, fingerprint: string): boolean {
  return fingerprint.startsWith(base.fingerprint);
}

/**
 * Opens a base to compare the image with. Null when that is not possible: the base has another size, lies on another
 * file system, or belongs to another user, who could have forged it. Throws the failures of `openImage`.
 */
export async function openBase({ path }: BaseClone, image: ImageSource): Promise<ImageSource | null> {
  // The guest's hypervisor may have the backing files open.
  const base = await openImage(path, { format: image.format, isInUse: true });
  // By their paths: the descriptor of another format than raw is that of a view.
  const { dev, uid } = statSync(base.path);
  const isLike =
    base.kind === 'file' &&
    base.sizeBytes === image.sizeBytes &&
    dev === statSync(image.path).dev &&
    uid === process.geteuid?.();
  if (isLike) return base;
  await base[Symbol.asyncDispose]();
  return null;
}

/** When the base was made; null when it is gone. */
export function baseMadeAt({ path }: BaseClone): Date | null {
  return statSync(path, { throwIfNoEntry: false })?.ctime ?? null;
}

/** Removes the base, if that is permitted. */
export function removeBase({ path }: BaseClone): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    if (errorCode(error) === '') throw error;
  }
}
