import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../failure.ts';
import type { Snapshot, SnapshotDisk } from '../../repository/snapshot.ts';
import { errorCode } from '../../system/error-code.ts';
import type { RestoreRequest } from './restore-report.ts';

/** A disk, and the path it is to be restored to. */
export interface DiskPlace {
  disk: SnapshotDisk;
  path: string;
}

/** The disks to restore, and where each goes. Throws Failure `usage` or `target-missing`. */
export async function placeDisks(
  snapshot: Snapshot,
  { to, disk: name }: Pick<RestoreRequest, 'to' | 'disk'>,
): Promise<[DiskPlace, ...DiskPlace[]]> {
  const [first, ...others] = chosenDisks(snapshot, name);
  if (await isDirectory(to)) {
    const inDirectory = (disk: SnapshotDisk) => ({ disk, path: join(to, disk.name) });
    return [inDirectory(first), ...others.map(inDirectory)];
  }
  if (to.endsWith('/'))
    throw new Failure('target-missing', `There is no directory ${to}.`, {
      advice: `Make it (mkdir -p ${to}), or restore to another path.`,
    });
  if (others.length === 0) return [{ disk: first, path: to }];
  throw new Failure(
    'usage',
    `${snapshot.guest} has ${others.length + 1} disks, and ${to} is not a directory.`,
    {
      advice: `Name a directory for all disks, or choose one disk with --disk: ${namesOf(snapshot)}.`,
    },
  );
}

function chosenDisks(snapshot: Snapshot, name: string | null): [SnapshotDisk, ...SnapshotDisk[]] {
  const [first, ...others] = snapshot.disks.filter((disk) => name === null || disk.name === name);
  if (first !== undefined) return [first, ...others];
  throw new Failure('usage', `${snapshot.guest} has no disk ${name} in the snapshot ${snapshot.id}.`, {
    advice: `Its disks: ${namesOf(snapshot)}.`,
  });
}

function namesOf({ disks }: Snapshot): string {
  return disks.map(({ name }) => name).join(', ');
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    throw new Failure('target-not-writable', `${path} cannot be examined: ${errorCode(error)}.`, {
      cause: error,
    });
  }
}
