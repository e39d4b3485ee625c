import { basename, dirname } from 'node:path';
import { Failure } from '../../failure.ts';
import { findDisk } from '../../guest/conversion/disk-names.ts';
import type { DiskDefinition, GuestDefinition } from '../../guest/definition.ts';
import { targetFormatFor, targetFormatOf, targetNameOf } from '../../image/target/target-format.ts';
import type { PlacedDisk } from './passes/copied-move.ts';
import type { MigrateRequest } from './migration-report.ts';

export type { PlacedDisk } from './passes/copied-move.ts';

export interface DiskPlaces {
  /** For the disks without a place of their own; null if there are none, and no directory was given. */
  directory: string | null;
  /** All disks of the guest, in its order. */
  places: readonly PlacedDisk[];
}

/** Leaves room in a file name (255 bytes) for `.partial`. */
const LONGEST_NAME_BYTES = 240;

type PlacesRequest = Pick<MigrateRequest, 'target' | 'disks' | 'format' | 'conversion'>;

/**
 * Throws Failure `usage` for a choice that does not fit the guest, and `guest-unsupported` for names that cannot be kept.
 * @param homes the places of its disks, if its images here are temporary
 */
export function placeDisks(
  definition: GuestDefinition,
  { target, disks: chosen, format = null, conversion }: PlacesRequest,
  homes: readonly Pick<DiskDefinition, 'path'>[] = definition.disks,
): DiskPlaces {
  const { name: guest, disks } = definition;
  // User Mode Linux reads nothing else.
  const wanted = format ?? (conversion.as === 'uml' ? 'raw' : null);
  if (disks.length === 0) throw new Failure('guest-unsupported', `${guest} has no disk to move.`);
  const pathOf = new Map<DiskDefinition, string>();
  for (const { name, path } of chosen) {
    const disk = disks[findDisk(definition, name)];
    if (disk === undefined)
      throw new Failure('usage', `${guest} has no disk ${name}.`, {
        advice: `Its disks: ${namesOf(disks)}.`,
      });
    if (pathOf.has(disk))
      throw new Failure('usage', `${disk.path} is named twice with --disk.`, {
        advice: `Name each disk once. The disks of ${guest}: ${namesOf(disks)}.`,
      });
    pathOf.set(disk, path);
  }
  const [first] = disks.filter((disk) => !pathOf.has(disk));
  const directory =
    target.directory ?? (first === undefined ? null : dirname((homes[disks.indexOf(first)] ?? first).path));
  const places = disks.map((disk): PlacedDisk => {
    const path = pathOf.get(disk);
    if (path !== undefined) {
      const format = wanted ?? targetFormatFor(path, disk.format ?? 'raw');
      return { disk, path, isChosen: true, format };
    }
    refuseName(disk);
    const name = targetNameOf(disk, wanted);
    const format = targetFormatOf(disk.format ?? 'raw', wanted);
    return { disk, path: `${directory === '/' ? '' : directory}/${name}`, isChosen: false, format };
  });
  refuseSamePath(places);
  return { directory, places };
}

function namesOf(disks: readonly DiskDefinition[]): string {
  return disks.map(({ device, path }) => `${device} (${path})`).join(', ');
}

function refuseName({ path }: DiskDefinition): void {
  const name = basename(path);
  if (!name.startsWith('.') && Buffer.byteLength(name) <= LONGEST_NAME_BYTES) return;
  throw new Failure(
    'guest-unsupported',
    `${path} cannot be moved: its name begins with a dot, or is too long.`,
    { advice: `Give it another name there: --disk ${name}=/DIRECTORY/NAME` },
  );
}

function refuseSamePath(places: readonly PlacedDisk[]): void {
  const diskAt = new Map<string, DiskDefinition>();
  for (const { disk, path, isChosen } of places) {
    const other = diskAt.get(path);
    diskAt.set(path, disk);
    if (other === undefined) continue;
    if (isChosen) throw new Failure('usage', `${other.path} and ${disk.path} cannot both go to ${path}.`);
    throw new Failure(
      'guest-unsupported',
      `${other.path} and ${disk.path} have the same file name, but a move puts all images into one directory.`,
      { advice: `Give one of them another name there: --disk ${disk.device}=/DIRECTORY/NAME` },
    );
  }
}
