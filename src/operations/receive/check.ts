import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { formatBytes } from '../../figures.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { directoryMissing, targetExists } from '../../image/target/target-failures.ts';
import { exists, isFileNameShort, partialPath } from '../../image/target/target-path.ts';
import { command, here, placed } from '../../placed-text.ts';
import { errorCode } from '../../system/error-code.ts';
import { SPOOL_LIMIT_BYTES } from '../../wire/messages.ts';

export interface CheckRequest {
  directory: string;
  disks: readonly { name: string; sizeBytes: number; neededBytes: number }[];
  /** The guest to boot, its disks at their places here; null when none is to be booted. */
  guest: GuestDefinition | null;
}

/** Finds everything that keeps this machine from receiving the guest. Changes nothing. */
export async function checkTarget(
  { directory, disks, guest }: CheckRequest,
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<{ problems: Failure[]; freeBytes: number }> {
  const problems: Failure[] = [];
  let freeBytes = 0;
  const directoryProblem = await checkDirectory(directory);
  if (directoryProblem === null) {
    for (const { name } of disks) problems.push(...(await checkName(join(directory, name))));
    freeBytes = await freeBytesOf(directory);
    const room = checkRoom(directory, freeBytes, disks);
    if (room !== null) problems.push(room);
  } else problems.push(directoryProblem);
  if (guest !== null) problems.push(...(await checkHypervisor(guest, drivers, context)));
  return { problems, freeBytes };
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

async function checkName(path: string): Promise<Failure[]> {
  if (!isFileNameShort(path))
    return [
      new Failure(
        'target-not-writable',
        placed`The file name of ${path} ${here} is too long: a move adds a suffix to it while it works.`,
        {
          advice: 'Give the image a shorter name (up to 239 bytes).',
        },
      ),
    ];
  if (await exists(path)) return [targetExists(path)];
  if (!(await exists(partialPath(path)))) return [];
  return [
    new Failure('target-exists', placed`${partialPath(path)} exists already ${here}.`, {
      advice: placed`Another move of this guest is under way, or was cut short. If none is under way, remove that file: ${command('rm', partialPath(path))}`,
    }),
  ];
}

export async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

function checkRoom(directory: string, freeBytes: number, disks: CheckRequest['disks']): Failure | null {
  const imageBytes = disks.reduce((sum, disk) => sum + disk.neededBytes, 0);
  const neededBytes = imageBytes + Math.min(imageBytes, SPOOL_LIMIT_BYTES);
  if (freeBytes >= neededBytes) return null;
  return new Failure(
    'target-full',
    placed`${directory} ${here} has ${formatBytes(freeBytes)} free, and ${formatBytes(neededBytes)} may be needed.`,
    { advice: 'Make room there, or choose another directory with --to HOST:DIR.' },
  );
}

async function checkHypervisor(
  guest: GuestDefinition,
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<Failure[]> {
  const driver = drivers.find((candidate) => candidate.kind === guest.driver);
  if (driver !== undefined) return driver.checkBootable(guest, context);
  return [new Failure('hypervisor-missing', `This vmferry cannot boot ${guest.driver} guests.`)];
}
