import type { Context } from '../../events.ts';
import type { Debugfs } from '../../image/contents/debugfs.ts';
import { listExtDirectory, readExtFile, statExtFile } from '../../image/contents/ext-files.ts';
import type { FormattedImage } from '../../image/formats/image-format.ts';
import { Resources } from '../../pipeline/resources.ts';
import { rootsInBootMenu } from './boot-menu.ts';
import { bootDirectoriesOf, isRoot, openExtRegions, type Region, type RegionOptions } from './ext-regions.ts';
import { cardNameSources, findCardNames, findMacs, namedMacSources } from './card-names.ts';
import type { GuestSystem } from './guest-system.ts';
import { inspectKernels } from './inspect-kernels.ts';

/** More files in one directory of configuration are not read. */
const MOST_FILES = 50;

/**
 * Looks into a guest's disks, of any format and without changing them, for the root file system, and into that. Null if there
 * is none on an ext2, ext3 or ext4 file system: directly on a disk, on a partition, or on a logical volume in one piece. A disk that cannot be opened is
 * passed over. Throws Failure `read-failed`.
 * @param disks in the order of the definition
 */
export async function inspectGuestSystem(
  disks: readonly FormattedImage[],
  { signal }: Pick<Context, 'signal'>,
  options: RegionOptions = {},
): Promise<GuestSystem | null> {
  await using opened = new Resources();
  const regions = await openExtRegions(disks, opened, options, signal);
  for (const region of regions)
    if (await isRoot(region.debugfs)) return await inspectRoot(region, regions, signal);
  return null;
}

async function inspectRoot(
  root: Region,
  regions: readonly Region[],
  signal: AbortSignal,
): Promise<GuestSystem> {
  const { debugfs, ...place } = root;
  const bootDirectories = bootDirectoriesOf(root, regions);
  return {
    root: place,
    ...(await inspect(debugfs)),
    kernels: await inspectKernels(debugfs, bootDirectories, signal),
    bootMenuRoots: await rootsInBootMenu(bootDirectories),
  };
}

async function inspect(debugfs: Debugfs): Promise<Omit<GuestSystem, 'root' | 'kernels' | 'bootMenuRoots'>> {
  const files: Record<string, string> = {};
  for (const path of ['/etc/fstab', '/etc/inittab', '/etc/securetty']) {
    const text = await readExtFile(debugfs, path);
    if (text !== null) files[path] = text;
  }
  const cardNames = await search(debugfs, cardNameSources, (text, { names }) => findCardNames(text, names));
  const namedMacs = await search(debugfs, namedMacSources, (text, { macs }) => findMacs(text, macs));
  return {
    init: await initOf(debugfs),
    udev: await udevOf(debugfs),
    files,
    cardNames,
    namedMacs,
  };
}

/** All that is found in the files of these directories, each once. */
async function search<Source extends { directory: string; file: RegExp }>(
  debugfs: Debugfs,
  sources: readonly Source[],
  find: (text: string, source: Source) => string[],
): Promise<string[]> {
  const found: string[] = [];
  for (const source of sources) {
    const names = (await listExtDirectory(debugfs, source.directory)).filter((name) =>
      source.file.test(name),
    );
    for (const name of names.slice(0, MOST_FILES))
      found.push(...find((await readExtFile(debugfs, `${source.directory}/${name}`)) ?? '', source));
  }
  return [...new Set(found)];
}

async function initOf(debugfs: Debugfs): Promise<GuestSystem['init']> {
  const init = await statExtFile(debugfs, '/sbin/init');
  const target = init?.target ?? '';
  if (/(?:^|\/)systemd$/.test(target)) return 'systemd';
  if (/(?:^|\/)busybox$/.test(target)) return 'busybox';
  const hasInittab = (await statExtFile(debugfs, '/etc/inittab')) !== null;
  if (!hasInittab) return 'other';
  return (await statExtFile(debugfs, '/etc/init.d/rc')) === null ? 'busybox' : 'sysvinit';
}

async function udevOf(debugfs: Debugfs): Promise<GuestSystem['udev']> {
  const exists = async (path: string): Promise<boolean> => (await statExtFile(debugfs, path)) !== null;
  // Merged /usr: /lib is a link to usr/lib.
  for (const lib of ['/lib', '/usr/lib'])
    if (await exists(`${lib}/systemd/network/99-default.link`)) return 'link-files';
  for (const directory of ['/lib/udev/rules.d', '/usr/lib/udev/rules.d', '/etc/udev/rules.d'])
    if (await exists(directory)) return 'rules';
  return 'none';
}
