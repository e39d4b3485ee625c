import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../failure.ts';
import { formatOfName, nameInFormat, type ImageFormat } from '../../image/formats/image-format.ts';
import { targetFormatFor, targetFormatOf, type TargetFormat } from '../../image/target/target-format.ts';
import type { Snapshot, SnapshotDisk } from '../../repository/snapshot.ts';
import { errorCode } from '../../system/error-code.ts';
import type { RestoreRequest } from './restore-report.ts';

/** A disk, and the path and format that it is to be restored to. */
export interface DiskPlace {
  disk: SnapshotDisk;
  path: string;
  format: TargetFormat;
}

/** The disks to restore, and where each goes. Throws Failure `usage` or `target-missing`. */
export async function placeDisks(
  snapshot: Snapshot,
  { to, disk: name, format: wanted = null }: Pick<RestoreRequest, 'to' | 'disk' | 'format'>,
): Promise<[DiskPlace, ...DiskPlace[]]> {
  const [first, ...others] = chosenDisks(snapshot, name);
  const there = await kindOf(to);
  if (there === 'directory') {
    const inDirectory = (disk: SnapshotDisk): DiskPlace => {
      const stored = storedFormat(snapshot, disk);
      const format = targetFormatOf(stored, wanted);
      // A raw image keeps even a wrong name.
      const isAsStored = stored === 'raw' && format === 'raw';
      return { disk, path: join(to, isAsStored ? disk.name : nameInFormat(disk.name, format)), format };
    };
    const places: [DiskPlace, ...DiskPlace[]] = [inDirectory(first), ...others.map(inDirectory)];
    refuseSamePath(places);
    return places;
  }
  if (to.endsWith('/'))
    throw new Failure('target-missing', `There is no directory ${to}.`, {
      advice: `Make it (mkdir -p ${to}), or restore to another path.`,
    });
  if (others.length === 0) {
    const format = wanted ?? (there === 'device' ? 'raw' : formatAt(to, snapshot, first));
    return [{ disk: first, path: to, format }];
  }
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

/** The format that the guest's image had. */
function storedFormat({ definition, disks }: Snapshot, disk: SnapshotDisk): ImageFormat {
  // The disks of a snapshot are in the order of its definition.
  return definition.disks[disks.indexOf(disk)]?.format ?? 'raw';
}

function formatAt(path: string, snapshot: Snapshot, disk: SnapshotDisk): TargetFormat {
  const format = storedFormat(snapshot, disk);
  // An image that was backed up byte for byte, header and all.
  if (format === 'raw' && formatOfName(disk.name) !== 'raw') return 'raw';
  return targetFormatFor(path, format);
}

function refuseSamePath(places: readonly DiskPlace[]): void {
  const names = new Map<string, string>();
  for (const { disk, path } of places) {
    const other = names.get(path);
    if (other !== undefined)
      throw new Failure('usage', `The disks ${other} and ${disk.name} cannot both be restored to ${path}.`, {
        advice: 'Restore each by itself: --disk NAME --to FILE.',
      });
    names.set(path, disk.name);
  }
}

async function kindOf(path: string): Promise<'directory' | 'device' | 'other'> {
  try {
    const there = await stat(path);
    return there.isDirectory() ? 'directory' : there.isBlockDevice() ? 'device' : 'other';
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return 'other';
    throw new Failure('target-not-writable', `${path} cannot be examined: ${errorCode(error)}.`, {
      cause: error,
    });
  }
}
