import { join } from 'node:path';
import { combineFailures, Failure } from '../../failure.ts';
import { ImageTarget } from '../../image/target/image-target.ts';
import { findDeviceProblems, findTargetDevice } from '../../image/target/target-device.ts';
import type { TargetFormat } from '../../image/target/target-format.ts';

/** Where the mover wants a disk. */
export interface DiskPlace {
  /** Null: every disk has a path of its own. */
  directory: string | null;
  name: string;
  /** A block device, or another new file; absent: DIRECTORY/NAME. */
  path?: string | undefined;
  /** Raw if absent. */
  format?: TargetFormat | undefined;
}

/** Throws Failure `protocol-violation`. */
export function pathOfDisk({ directory, name, path }: DiskPlace): string {
  if (path !== undefined) return path;
  if (directory !== null) return join(directory, name);
  throw new Failure('protocol-violation', `No directory was given for ${name}.`);
}

/**
 * Makes a new file, or opens the block device that the mover named. It looks at a device once more, because much may have happened since the
 * check. Throws what `findDeviceProblems` finds, and as `ImageTarget.open`.
 */
export async function openTarget(
  place: DiskPlace,
  sizeBytes: number,
  mayOverwrite: boolean,
): Promise<ImageTarget> {
  const path = pathOfDisk(place);
  const device = place.path === undefined ? null : await findTargetDevice(path);
  if (device === null) return ImageTarget.create(path, sizeBytes, place.format);
  const [first, ...others] = await findDeviceProblems(device, sizeBytes, mayOverwrite);
  if (first !== undefined) throw combineFailures([first, ...others]);
  return ImageTarget.open(device.place, sizeBytes, null, place.format);
}
