import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { chunkGridFor, LARGEST_CHUNK_BYTES, type ChunkGrid } from '../../chunk/chunk-grid.ts';
import { combineFailures, Failure } from '../../failure.ts';
import { ImageTarget } from '../../image/target/image-target.ts';
import { findDeviceProblems, findTargetDevice } from '../../image/target/target-device.ts';
import { directoryMissing } from '../../image/target/target-failures.ts';
import { newFilePlace } from '../../image/target/place.ts';
import { isFileNameShort, requireDirectory } from '../../image/target/target-path.ts';
import { requireRoom } from '../../image/target/target-place.ts';

/** The largest image whose size is not known before its end: its chunks have 1 MiB (doc/formats.md). */
export const LARGEST_UNKNOWN_BYTES = 2 ** 40;

/** Where a disk goes. */
export interface DiskTarget {
  target: ImageTarget;
  grid: ChunkGrid;
  /** The most bytes that it can take. */
  limitBytes: number;
}

export interface TargetRequest {
  to: string;
  overwrite: boolean;
  /** Its file name in a directory. */
  name: string;
  /** Null: it ends where its data ends. */
  sizeBytes: number | null;
  /** Bytes that are to be written, as far as they are known. */
  dataBytes: number;
}

/** Whether all disks go to one directory. Throws Failure `target-missing`. */
export async function isDirectory(to: string): Promise<boolean> {
  const there = await stat(to).catch(() => null);
  if (there?.isDirectory() === true) return true;
  if (to.endsWith('/')) throw directoryMissing(to);
  return false;
}

/** Where the disk of this name goes. Throws as `isDirectory`. */
export async function targetPathOf(to: string, name: string): Promise<string> {
  return (await isDirectory(to)) ? join(to, name) : to;
}

/**
 * Opens the place for a disk: a new file, or a block device. Throws Failure `target-exists`, `target-missing`, `target-full`,
 * `image-in-use` and others of `ImageTarget.open`.
 */
export async function openDiskTarget(request: TargetRequest): Promise<DiskTarget> {
  const { to, name, sizeBytes, dataBytes, overwrite } = request;
  const path = await targetPathOf(to, name);
  if (!isFileNameShort(path))
    throw new Failure('target-not-writable', `The file name of ${path} is too long.`, {
      advice: 'Name a file: --to FILE',
    });
  const device = await findTargetDevice(path);
  if (device === null) {
    const imageBytes = sizeBytes ?? LARGEST_UNKNOWN_BYTES;
    if (chunkGridFor(imageBytes).chunkBytes > LARGEST_CHUNK_BYTES)
      throw new Failure('image-unsupported', `${name} is larger than 64 TiB.`);
    await requireDirectory(dirname(path));
    await requireRoom([{ place: newFilePlace(path, imageBytes), neededBytes: dataBytes }]);
    const target = await ImageTarget.create(path, imageBytes);
    return { target, grid: chunkGridFor(imageBytes), limitBytes: imageBytes };
  }
  const [first, ...others] = await findDeviceProblems(device, sizeBytes ?? 0, overwrite);
  if (first !== undefined) throw combineFailures([first, ...others]);
  const imageBytes = sizeBytes ?? device.place.sizeBytes;
  const target = await ImageTarget.open(device.place, imageBytes, null);
  return { target, grid: chunkGridFor(imageBytes), limitBytes: imageBytes };
}

/** Of an archive with several disks that is to go to one file. */
export function severalDisks(to: string): Failure {
  return new Failure('usage', `The archive holds several disks, and ${to} is not a directory.`, {
    advice: 'Name a directory for all of them: --to DIRECTORY',
  });
}
