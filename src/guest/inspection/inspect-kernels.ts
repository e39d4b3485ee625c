import type { Debugfs } from '../../image/contents/debugfs.ts';
import { listExtDirectory, readExtFile, statExtFile } from '../../image/contents/ext-files.ts';
import { wordsInInitrd } from '../initrd/words-in-initrd.ts';
import { diskDrivers, type DiskDriver, type DriverPlace, type GuestKernelModules } from './guest-system.ts';

const MOST_KERNELS = 4;
export const MOST_INITRD_BYTES = 256 * 2 ** 20;

/** A directory that may hold kernels: /boot, or the top of a file system that is mounted there. */
export interface BootDirectory {
  debugfs: Debugfs;
  /** Without a slash at its end. */
  path: string;
}

/** The kernels with modules in /lib/modules, the newest last. Of the newest that is in the guest, the initial RAM disk is looked at. */
export async function inspectKernels(
  root: Debugfs,
  bootDirectories: readonly BootDirectory[],
  signal: AbortSignal,
): Promise<GuestKernelModules[]> {
  const versions = (await listExtDirectory(root, '/lib/modules')).toSorted((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  const kernels: GuestKernelModules[] = [];
  for (const version of versions.slice(-MOST_KERNELS)) {
    const boot = await findKernel(version, bootDirectories);
    kernels.push({
      version,
      hasKernel: boot !== null,
      drivers: await driverPlaces(root, version),
      initrdDrivers: boot === null ? null : await driversInInitrd(version, boot, signal),
    });
  }
  return kernels;
}

/** Where the kernel of this version has its drivers, by the lists of its modules in /lib/modules. */
export async function driverPlaces(root: Debugfs, version: string): Promise<GuestKernelModules['drivers']> {
  const directory = `/lib/modules/${version}`;
  const builtIn = (await readExtFile(root, `${directory}/modules.builtin`)) ?? '';
  const modules = (await readExtFile(root, `${directory}/modules.dep`)) ?? '';
  const places = diskDrivers.map((driver) => [driver, driverPlace(driver, builtIn, modules)] as const);
  return Object.fromEntries(places) as GuestKernelModules['drivers'];
}

async function findKernel(
  version: string,
  directories: readonly BootDirectory[],
): Promise<BootDirectory | null> {
  for (const directory of directories)
    for (const name of ['vmlinuz', 'vmlinux'])
      if ((await statExtFile(directory.debugfs, `${directory.path}/${name}-${version}`)) !== null)
        return directory;
  return null;
}

/** The names that Debian, Red Hat and SUSE use. */
export function initrdNames(version: string): string[] {
  return [`initrd.img-${version}`, `initramfs-${version}.img`, `initrd-${version}`];
}

/** Null if there is none, or if it cannot be unpacked. */
async function driversInInitrd(
  version: string,
  { debugfs, path }: BootDirectory,
  signal: AbortSignal,
): Promise<DiskDriver[] | null> {
  for (const name of initrdNames(version)) {
    const file = await statExtFile(debugfs, `${path}/${name}`);
    if (file?.type !== 'regular' || file.sizeBytes > MOST_INITRD_BYTES) continue;
    return (await lookIntoInitrd(await debugfs.dump(file.inode), signal))?.drivers ?? null;
  }
  return null;
}

export interface InitrdContents {
  /** Those of disks. */
  drivers: DiskDriver[];
  /** Whether it has /bin/sh, which the work at boot needs. */
  hasShell: boolean;
}

/** What is in an initial RAM disk. Null if it cannot be unpacked. */
export async function lookIntoInitrd(initrd: Buffer, signal: AbortSignal): Promise<InitrdContents | null> {
  const words = [...diskDrivers.flatMap(namesInArchive), ...shellEntries];
  const found = await wordsInInitrd(initrd, words, signal);
  if (found === null) return null;
  const has = (one: string) => found.has(one);
  return {
    drivers: diskDrivers.filter((driver) => namesInArchive(driver).some(has)),
    hasShell: shellEntries.some(has),
  };
}

/** With the zeros at the end of an entry's header: programs have the text /bin/sh in them, too. */
const shellEntries = ['', './', '/', 'usr/', './usr/'].map((start) => `00000000${start}bin/sh\0`);

/** A module's file may have dashes where its name has underscores. */
function moduleFiles(driver: DiskDriver): string[] {
  return [`/${driver}.ko`, `/${driver.replaceAll('_', '-')}.ko`];
}

/** A file's name in an archive ends with a zero byte. Lists of modules, which are in there too, have other endings. */
function namesInArchive(driver: DiskDriver): string[] {
  return moduleFiles(driver).flatMap((file) =>
    ['', '.gz', '.xz', '.zst'].map((packed) => `${file}${packed}\0`),
  );
}

/** By modules.builtin and modules.dep: depmod(8). */
export function driverPlace(driver: DiskDriver, builtIn: string, modules: string): DriverPlace {
  const files = moduleFiles(driver);
  if (files.some((file) => `${builtIn}\n`.includes(`${file}\n`))) return 'built-in';
  // A module's file may be compressed: .ko.xz
  const names = modules
    .split('\n')
    .map((line) => line.slice(0, line.indexOf(':')).replace(/\.ko\.\w+$/, '.ko'));
  return names.some((name) => files.some((file) => name.endsWith(file))) ? 'module' : 'absent';
}
