import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asFailure, Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import { findPartial } from '../../image/target/find-partial.ts';
import type { MoveClaim } from '../../image/target/partial-claim.ts';
import { findDeviceProblems, findTargetDevice, type TargetDevice } from '../../image/target/target-device.ts';
import { directoryMissing, targetExists } from '../../image/target/target-failures.ts';
import { qcow2OnDevice } from '../../image/target/qcow2-content.ts';
import { qcow2Problem } from '../../image/target/qcow2-probe.ts';
import { exists, isFileNameShort, partialPath } from '../../image/target/target-path.ts';
import { here, placed } from '../../placed-text.ts';
import { errorCode } from '../../system/error-code.ts';
import { SPOOL_LIMIT_BYTES, type OwnerClaim, type TakenBesides } from '../../wire/messages.ts';
import { foreignPartial, moveClaim, pathOfDisk, type DiskPlace } from './open-target.ts';

export interface PlacesRequest {
  /** Null: every disk has a path of its own. */
  directory: string | null;
  disks: readonly (Omit<DiskPlace, 'directory'> & { sizeBytes: number; neededBytes: number })[];
  /** Whether the content of block devices may be lost. */
  overwrite: boolean;
  /** Whose incomplete files may be continued; nobody's unless given. */
  claim?: OwnerClaim;
  /** What other guests take here before this one; nothing unless given. */
  besides?: TakenBesides;
}

export interface CheckedPlaces {
  problems: Failure[];
  /** Of the directory, or else of the one that the spool goes to. */
  freeBytes: number;
  devices: readonly TargetDevice[];
}

/** Finds everything that keeps the disks from their places. Changes nothing. */
export async function checkPlaces(
  { directory, disks, overwrite, claim, besides }: PlacesRequest,
  spoolParent: string,
): Promise<CheckedPlaces> {
  const problems: Failure[] = [];
  const devices: TargetDevice[] = [];
  /** How much each directory has to take. */
  const neededBy = new Map<string, number>(directory === null ? [] : [[directory, 0]]);
  let imageBytes = 0;
  for (const disk of disks) {
    const path = pathOfDisk({ directory, ...disk });
    imageBytes += disk.neededBytes;
    const device = disk.path === undefined ? null : await findTargetDevice(path);
    if (device === null) {
      const parent = dirname(path);
      const { problem, allocatedBytes } = await checkName(
        path,
        claim && moveClaim(claim, disk.sizeBytes, disk.format),
      );
      const neededBytes = Math.max(0, disk.neededBytes - allocatedBytes);
      neededBy.set(parent, (neededBy.get(parent) ?? 0) + neededBytes);
      if (problem !== null) problems.push(problem);
      continue;
    }
    devices.push(device);
    problems.push(...(await findDeviceProblems(device, disk.sizeBytes, overwrite)));
    if (disk.format === 'qcow2') problems.push(qcow2OnDevice(path));
  }
  const cannotWrite = disks.some(({ format }) => format === 'qcow2') ? await qcow2Problem() : null;
  if (cannotWrite !== null) problems.push(cannotWrite);
  const inDirectories = await Promise.all([...neededBy.keys()].map(checkDirectory));
  problems.unshift(...inDirectories.filter((problem) => problem !== null));
  const spoolDirectory = directory ?? (await existingParent(spoolParent));
  const spoolBytes = Math.min(imageBytes, SPOOL_LIMIT_BYTES);
  neededBy.set(spoolDirectory, (neededBy.get(spoolDirectory) ?? 0) + spoolBytes);
  if (inDirectories.every((problem) => problem === null))
    for (const [place, neededBytes] of neededBy)
      problems.push(...(await checkRoom(place, neededBytes, await bytesBeside(place, besides?.files ?? []))));
  const freeBytes = await freeBytesOf(spoolDirectory).catch(() => 0);
  return { problems, freeBytes, devices };
}

async function checkDirectory(directory: string): Promise<Failure | null> {
  try {
    if (!(await stat(directory)).isDirectory()) {
      return new Failure('target-missing', placed`${directory} ${here} is not a directory.`);
    }
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return directoryMissing(directory);
    }
    return new Failure('target-not-writable', placed`${directory} ${here} cannot be written to.`, {
      advice: 'Log in there as a user who may write to it, or choose another directory with --to HOST:DIR.',
      cause: error,
    });
  }
}

/** @param claim of incomplete files that may be continued */
async function checkName(
  path: string,
  claim: MoveClaim | undefined,
): Promise<{ problem: Failure | null; allocatedBytes: number }> {
  const refused = (problem: Failure) => ({ problem, allocatedBytes: 0 });
  if (!isFileNameShort(path))
    return refused(
      new Failure(
        'target-not-writable',
        placed`The file name of ${path} ${here} is too long: a move adds a suffix to it while it works.`,
        {
          advice: 'Give the image a shorter name (up to 239 bytes).',
        },
      ),
    );
  if ((await findTargetDevice(path)) !== null)
    return refused(
      new Failure('target-exists', placed`${path} ${here} is a block device.`, {
        advice: `To overwrite it, name it: --disk NAME=${path}`,
      }),
    );
  if (await isThere(path)) return refused(targetExists(path));
  if (!(await isThere(partialPath(path)))) return { problem: null, allocatedBytes: 0 };
  if (claim === undefined) return refused(foreignPartial(path));
  try {
    const partial = await findPartial(path, claim.sizeBytes, claim);
    if (partial === 'foreign') return refused(foreignPartial(path));
    return { problem: null, allocatedBytes: partial?.allocatedBytes ?? 0 };
  } catch (error) {
    return refused(asFailure(error));
  }
}

/** The check of the directory tells of a path that cannot be looked at. */
async function isThere(path: string): Promise<boolean> {
  return exists(path).catch(() => false);
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** What others take of the directory's file system. */
async function bytesBeside(directory: string, others: TakenBesides['files']): Promise<number> {
  const { dev } = await stat(directory);
  let sum = 0;
  for (const other of others) {
    // A directory that is missing was told of when the guest that goes there was checked.
    const stats = await stat(other.directory).catch(() => null);
    if (stats?.dev === dev) sum += other.neededBytes;
  }
  return sum;
}

async function checkRoom(directory: string, ownBytes: number, besidesBytes: number): Promise<Failure[]> {
  const freeBytes = await freeBytesOf(directory);
  const neededBytes = ownBytes + besidesBytes;
  if (freeBytes >= neededBytes) return [];
  const together =
    besidesBytes === 0 ? '' : `: ${formatBytes(besidesBytes)} of them by the guests that come before it`;
  return [
    new Failure(
      'target-full',
      placed`${directory} ${here} has ${formatBytes(freeBytes)} free, and ${formatBytes(neededBytes)} may be needed${together}.`,
      { advice: 'Make room there, or choose another directory with --to HOST:DIR.' },
    ),
  ];
}

async function existingParent(directory: string): Promise<string> {
  const isDirectory = await stat(directory).catch(() => null);
  return isDirectory !== null || directory === '/' ? directory : existingParent(dirname(directory));
}
