import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Extent } from '../../../src/extent/extents.ts';
import { makeGarbageFile, patchFile, runTool, scratchDirectory } from './images.ts';
import { attachLoopDevice } from './loop-device.ts';

export const GROUP = 'vg0';
const KIB = 1024;
const EXTENT_BYTES = 64 * KIB;

type Lvm = (command: string, ...args: string[]) => string;

/** Runs commands of lvm(8) that see only these files' loop devices, and need no device mapper. */
export function withLvm<Result>(
  files: readonly string[],
  use: (lvm: Lvm, devices: readonly string[]) => Result,
  devices: readonly string[] = [],
): Result {
  const [file, ...others] = files;
  if (file !== undefined) {
    using device = attachLoopDevice(file);
    return withLvm(others, use, [...devices, device.path]);
  }
  using scratch = scratchDirectory();
  const filter = [...devices.map((device) => `"a|^${device}$|"`), '"r|.*|"'].join(', ');
  const config = [
    `devices { filter = [ ${filter} ] use_devicesfile = 0 }`,
    'activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }',
    'backup { backup = 0 archive = 0 }',
    `global { locking_dir = "${scratch.path}" }`,
  ].join(' ');
  return use(
    (command, ...args) =>
      runTool('lvm', [command, '--driverloaded', 'n', '--quiet', '--config', config, ...args]),
    devices,
  );
}

/** Makes a file full of garbage, and in it a volume group with volumes of these sizes (`8M`), none of which is active. */
export function makeVolumeGroup(
  path: string,
  sizeBytes: number,
  volumes: readonly (readonly [name: string, size: string])[],
  ...physicalOptions: string[]
): void {
  makeGarbageFile(path, sizeBytes);
  patchFile(path, 0, new Uint8Array(EXTENT_BYTES));
  withLvm([path], (lvm, [device = '']) => {
    lvm('pvcreate', '-y', ...physicalOptions, device);
    lvm('vgcreate', '-s', `${EXTENT_BYTES / KIB}k`, GROUP, device);
    for (const [name, size] of volumes) createVolume(lvm, name, size);
  });
}

export function createVolume(lvm: Lvm, name: string, size: string): void {
  lvm('lvcreate', '-an', '-Zn', '-Wn', '-L', size, '-n', name, GROUP);
}

/** Where each volume and the room of none is, as pvs(8) lists it: the pieces of a volume in its own order. */
export function placesByPvs(path: string): { volumes: Map<string, Extent[]>; unallocated: Extent[] } {
  const columns = 'pe_start,vg_extent_size,pvseg_start,pvseg_size,lv_name,seg_start_pe';
  const report = withLvm([path], (lvm) =>
    lvm('pvs', '--segments', '-o', columns, '--units', 'b', '--nosuffix', '--reportformat', 'json'),
  );
  const { report: groups } = JSON.parse(report) as {
    report: { pvseg?: Record<string, string>[]; pv?: Record<string, string>[] }[];
  };
  const rows = groups.flatMap(({ pvseg = [], pv = [] }) => [...pvseg, ...pv]);
  const segments = rows.map((row) => {
    const [start, extentBytes] = [Number(row['pe_start']), Number(row['vg_extent_size'])];
    const offset = start + Number(row['pvseg_start']) * extentBytes;
    const length = Number(row['pvseg_size']) * extentBytes;
    return { name: row['lv_name'] ?? '', first: Number(row['seg_start_pe']), extent: { offset, length } };
  });
  const volumes = new Map<string, Extent[]>();
  for (const { name, extent } of segments.toSorted((one, other) => one.first - other.first))
    if (name !== '') volumes.set(name, [...(volumes.get(name) ?? []), extent]);
  return { volumes, unallocated: segments.filter(({ name }) => name === '').map(({ extent }) => extent) };
}

/** Has vgcfgrestore(8) write the group's metadata after `change` was made to their text. */
export function changeMetadata(path: string, change: (text: string) => string): void {
  using scratch = scratchDirectory();
  const file = join(scratch.path, 'metadata');
  withLvm([path], (lvm) => {
    lvm('vgcfgbackup', '-f', file, GROUP);
    const before = readFileSync(file, 'utf8');
    const after = change(before);
    if (after === before) throw new Error('nothing was changed');
    writeFileSync(file, after);
    lvm('vgcfgrestore', '--force', '-f', file, GROUP);
  });
}

/** Writes a file over the volume that has these pieces. */
export function fillVolume(path: string, pieces: readonly Extent[], file: string): void {
  const content = readFileSync(file);
  let done = 0;
  for (const { offset, length } of pieces) {
    patchFile(path, offset, content.subarray(done, done + length));
    done += length;
  }
}

/** Copies the volume that has these pieces into a file of its own. */
export function extractVolume(path: string, pieces: readonly Extent[], file: string): void {
  const disk = readFileSync(path);
  writeFileSync(
    file,
    Buffer.concat(pieces.map(({ offset, length }) => disk.subarray(offset, offset + length))),
  );
}
