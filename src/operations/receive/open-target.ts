import { dirname, join } from 'node:path';
import { asFailure, combineFailures, Failure } from '../../failure.ts';
import { findPartial } from '../../image/target/find-partial.ts';
import { ImageTarget } from '../../image/target/image-target.ts';
import { findDeviceProblems, findTargetDevice } from '../../image/target/target-device.ts';
import type { MoveClaim } from '../../image/target/partial-claim.ts';
import type { TargetFormat } from '../../image/target/target-format.ts';
import { targetExists } from '../../image/target/target-failures.ts';
import { exists, partialPath } from '../../image/target/target-path.ts';
import { isPrivateDirectory } from '../../image/target/trusted-partial.ts';
import { command, here, placed } from '../../placed-text.ts';
import type { OwnerClaim } from '../../wire/messages.ts';
import { removeLeftCopy } from './rehearsal/copy-for-rehearsal.ts';

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

export function moveClaim(owner: OwnerClaim, sizeBytes: number, format: TargetFormat = 'raw'): MoveClaim {
  return { ...owner, sizeBytes, ...(format === 'qcow2' && { imageFormat: format }) };
}

export function foreignPartial(path: string): Failure {
  return new Failure('target-exists', placed`${partialPath(path)} exists already ${here}.`, {
    advice: placed`Another move is under way, or was cut short. If none is under way, remove that file: ${command('rm', partialPath(path))}`,
  });
}

export interface TargetRequest {
  sizeBytes: number;
  /** Whether the content of a block device may be lost. */
  mayOverwrite: boolean;
  /** Whether the same move has begun this disk before: then its earlier receiver may still have it for a while. */
  wasBegun: boolean;
  /** Null: an incomplete file is neither continued nor left for later. */
  owner: OwnerClaim | null;
}

/**
 * Makes a new file, continues the incomplete one of an earlier process, or opens the block device that the mover named. It looks at a device
 * once more, because much may have happened since the check. Throws what `findDeviceProblems` finds, and as `ImageTarget.open`.
 */
export async function openTarget(
  place: DiskPlace,
  { sizeBytes, mayOverwrite, wasBegun, owner }: TargetRequest,
): Promise<ImageTarget> {
  const path = pathOfDisk(place);
  const device = place.path === undefined ? null : await findTargetDevice(path);
  if (device !== null) {
    try {
      const [first, ...others] = await findDeviceProblems(device, sizeBytes, mayOverwrite || wasBegun);
      if (first !== undefined) throw combineFailures([first, ...others]);
      return await ImageTarget.open(device.place, sizeBytes, null, place.format);
    } catch (error) {
      const failure = asFailure(error);
      throw wasBegun && failure.code === 'image-in-use' ? asTransient(failure) : failure;
    }
  }
  // A receiver that lost its line after publishing removes the image when it notices that.
  if (wasBegun && (await exists(path))) throw asTransient(targetExists(path));
  // Where others could write to an incomplete file, none is left for later.
  if (owner === null || !(await isPrivateDirectory(dirname(path))))
    return ImageTarget.create(path, sizeBytes, place.format);
  const claim = moveClaim(owner, sizeBytes, place.format);
  const partial = await findPartial(path, sizeBytes, claim);
  if (partial === 'foreign') throw foreignPartial(path);
  const target =
    partial === null
      ? await ImageTarget.create(path, sizeBytes, place.format, claim)
      : await ImageTarget.open(partial, sizeBytes, claim, place.format);
  removeLeftCopy(target.workingPath);
  return target;
}

/** The same failure, as one that may pass by itself. */
function asTransient({ code, placed: { message, advice } }: Failure): Failure {
  return new Failure(code, message, { advice, transient: true });
}
