import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import type { ExtFile } from '../../image/contents/ext-file.ts';
import { readExtFile } from '../../image/contents/ext-files.ts';
import { followExtLinks } from '../../image/contents/follow-links.ts';
import type { FormattedImage } from '../../image/formats/image-format.ts';
import { Resources } from '../../pipeline/resources.ts';
import type { DiskBus, GuestDefinition } from '../definition.ts';
import { busesOfKernel } from '../inspection/disk-buses.ts';
import { isRoot, openExtRegions, type Region } from '../inspection/ext-regions.ts';
import {
  driverPlaces,
  lookIntoInitrd,
  MOST_INITRD_BYTES,
  type InitrdContents,
} from '../inspection/inspect-kernels.ts';
import { versionInHeader } from '../inspection/kernel-version.ts';
import { directoriesOf } from './boot-directories.ts';
import { sourceInFstab } from './fstab-source.ts';
import { MOST_KERNEL_BYTES, type BootFiles, type GuestKernel } from './guest-kernel.ts';
import { advice } from './menu-entry.ts';
import { readMenuIn } from './read-menu.ts';
import { findLinkedKernel, findNewestKernel } from './without-menu.ts';

/**
 * Finds the kernel that a guest boots by itself: that of the default entry of its boot menu; without a menu that of the links
 * /vmlinuz and /initrd.img, else the newest in /boot. Changes nothing, and follows links within a file system only. Throws Failure
 * `guest-unsupported` if there is none that QEMU can load, and `read-failed`.
 * @param isInUse the guest runs: what is found may be out of date
 */
export async function findGuestKernel(
  { name, disks }: Pick<GuestDefinition, 'name'> & { disks: readonly FormattedImage[] },
  { signal }: Pick<Context, 'signal'>,
  isInUse = false,
): Promise<GuestKernel> {
  await using opened = new Resources();
  const unseen: string[] = [];
  const onUnseen = (reason: string) => unseen.push(reason);
  const regions = await openExtRegions(disks, opened, { isInUse, onUnseen }, signal);
  const root = await findRoot(regions);
  const fstab = root === null ? null : await readExtFile(root.debugfs, '/etc/fstab');
  const directories = directoriesOf(root, regions, fstab ?? '');
  const found = await findFiles(directories);
  if (found === null)
    throw new Failure(
      'guest-unsupported',
      `${name} has no kernel that vmferry finds: ${[...unseen].join('. ')}. It looks for a boot menu, for /vmlinuz and for /boot/vmlinuz-* on ext2, ext3 and ext4.`,
      { advice },
    );
  const { region, foundBy, kernel, initrds, leftOut, ...entry } = found;
  const version = await versionOf(region, kernel, foundBy);
  const { diskIndex, offset } = region;
  const initrd = await lookIntoInitrds(await findInitrds(found), signal);
  return {
    kernel,
    initrds,
    place: { diskIndex, offset },
    version,
    foundBy,
    arguments: entry.arguments,
    leftOut,
    root: sourceInFstab(fstab ?? '', '/'),
    buses: initrd && (await busesOf(version, root, initrd)),
    hasShell: initrd && initrd.hasShell,
  };
}

type Directory = ReturnType<typeof directoriesOf>[number];

interface FoundFiles extends BootFiles {
  region: Region;
  foundBy: string;
  arguments: readonly string[];
  leftOut: readonly string[];
}

async function findRoot(regions: readonly Region[]): Promise<Region | null> {
  for (const region of regions) if (await isRoot(region.debugfs)) return region;
  return null;
}

async function findFiles(directories: readonly Directory[]): Promise<FoundFiles | null> {
  for (const directory of directories) {
    const entry = await readMenuIn(directory);
    if (entry === null) continue;
    const { title, menu } = entry;
    return { ...entry, region: directory.region, foundBy: `the entry ‘${title}’ of ${menu}` };
  }
  for (const find of [findLinkedKernel, findNewestKernel])
    for (const directory of directories) {
      const files = await find(directory);
      if (files === null) continue;
      const foundBy = find === findLinkedKernel ? `the link ${files.kernel}` : 'being the newest in /boot';
      return { ...files, region: directory.region, foundBy, arguments: [], leftOut: [] };
    }
  return null;
}

/** Only the versions that say in their header that they are Linux on x86: QEMU loads those. */
async function versionOf({ debugfs }: Region, kernel: string, foundBy: string): Promise<string> {
  const found = await followExtLinks(debugfs, kernel);
  const refuse = (why: string) =>
    new Failure('guest-unsupported', `The guest's kernel ${kernel} (by ${foundBy}) ${why}.`, { advice });
  if (found?.file.type !== 'regular') throw refuse('is not there');
  if (found.file.sizeBytes > MOST_KERNEL_BYTES)
    throw refuse(`has ${found.file.sizeBytes} bytes, more than a kernel has`);
  const version = versionInHeader(await debugfs.dump(found.file.inode));
  if (version === null) throw refuse('is no kernel that QEMU can load');
  return version;
}

interface FoundInitrds {
  debugfs: Region['debugfs'];
  files: readonly ExtFile[];
}

/** Refuses now what `takeBootFiles` and the wire would refuse when the guest is down. */
async function findInitrds({ region: { debugfs }, initrds, foundBy }: FoundFiles): Promise<FoundInitrds> {
  const refuse = (what: string) =>
    new Failure('guest-unsupported', `The guest's boot files (by ${foundBy}) cannot be used: ${what}.`, {
      advice,
    });
  const files: ExtFile[] = [];
  for (const path of initrds) {
    const found = await followExtLinks(debugfs, path);
    if (found?.file.type !== 'regular') throw refuse(`the initial RAM disk ${path} is not there`);
    files.push(found.file);
  }
  const allBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (allBytes > MOST_INITRD_BYTES)
    throw refuse(
      `the initial RAM disk ${initrds.join(' and ')} has ${allBytes} bytes, and at most ${MOST_INITRD_BYTES} are taken`,
    );
  return { debugfs, files };
}

/** Null if one of them cannot be unpacked. */
async function lookIntoInitrds(
  { debugfs, files }: FoundInitrds,
  signal: AbortSignal,
): Promise<InitrdContents | null> {
  const all: InitrdContents = { drivers: [], hasShell: false };
  for (const { inode } of files) {
    const contents = await lookIntoInitrd(await debugfs.dump(inode), signal);
    if (contents === null) return null;
    all.drivers.push(...contents.drivers);
    all.hasShell ||= contents.hasShell;
  }
  return all;
}

async function busesOf(
  version: string,
  root: Region | null,
  { drivers }: InitrdContents,
): Promise<DiskBus[] | null> {
  if (root === null || (await readExtFile(root.debugfs, `/lib/modules/${version}/modules.builtin`)) === null)
    return null;
  return busesOfKernel({ drivers: await driverPlaces(root.debugfs, version), initrdDrivers: drivers });
}
