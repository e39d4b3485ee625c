import { Failure } from '../../failure.ts';
import { Debugfs } from '../../image/contents/debugfs.ts';
import { statExtFile } from '../../image/contents/ext-files.ts';
import type { FormattedImage } from '../../image/formats/image-format.ts';
import { openImage } from '../../image/open-image.ts';
import { contentsOf, probeImage } from '../../image/probe.ts';
import type { ImageSource } from '../../image/source/image-source.ts';
import type { Resources } from '../../pipeline/resources.ts';
import type { BootDirectory } from './inspect-kernels.ts';

export interface RegionOptions {
  /** The guest runs: see `openImage`. What is found may be out of date. */
  isInUse?: boolean;
  /** Is told what a disk holds, or why it cannot be opened: a sentence without its full stop. */
  onUnseen?: (reason: string) => void;
}

/** A file system of ext2, ext3 or ext4: directly on a disk, on a partition, or on a logical volume in one piece. */
export interface Region {
  /** In the order of the disks that were given. */
  diskIndex: number;
  /** In bytes, on the disk. */
  offset: number;
  length: number;
  /** Of the file system, if it has them. */
  label?: string;
  uuid?: string;
  debugfs: Debugfs;
}

/** Opens those of a guest's disks, of any format and without changing them. A disk that cannot be opened is passed over. */
export async function openExtRegions(
  disks: readonly FormattedImage[],
  opened: Resources,
  { isInUse = false, onUnseen = () => undefined }: RegionOptions,
  signal: AbortSignal,
): Promise<Region[]> {
  const regions: Region[] = [];
  for (const [diskIndex, disk] of disks.entries()) {
    const { path } = disk;
    const image = await openOrTell(path, () => openImage(path, { ...disk, isInUse }), onUnseen);
    if (image === null) continue;
    opened.hold(image);
    for (const { offset, ...region } of extRegions(image, path, onUnseen)) {
      // Another process can open the same bytes by it: those of the image, or of a view of it.
      const place = { path: `/proc/${process.pid}/fd/${image.fd}`, offset, image: path };
      const debugfs = opened.hold(await Debugfs.open(place, signal));
      regions.push({ diskIndex, offset, ...region, debugfs });
    }
  }
  return regions;
}

export async function isRoot(debugfs: Debugfs): Promise<boolean> {
  const [init, etc] = [await statExtFile(debugfs, '/sbin/init'), await statExtFile(debugfs, '/etc')];
  return init !== null && etc?.type === 'directory';
}

/** Where kernels may be: /boot, or the top of a file system that is mounted there. */
export function bootDirectoriesOf<Place extends Pick<Region, 'debugfs'>>(
  root: Place,
  regions: readonly Place[],
): (BootDirectory & { region: Place })[] {
  const others = regions.filter((region) => region !== root);
  return [
    { debugfs: root.debugfs, path: '/boot', region: root },
    ...others.map((region) => ({ debugfs: region.debugfs, path: '', region })),
  ];
}

async function openOrTell(
  path: string,
  open: () => Promise<ImageSource>,
  onUnseen: (reason: string) => void,
): Promise<ImageSource | null> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    onUnseen(`${path} cannot be opened: ${error.message.replace(/\.$/, '')}`);
    return null;
  }
}

function extRegions(
  image: ImageSource,
  path: string,
  onUnseen: (reason: string) => void,
): Omit<Region, 'diskIndex' | 'debugfs'>[] {
  const contents = contentsOf(probeImage(image));
  const names = contents.map(({ kind, pieces }) => {
    const name = kind === 'unknown' ? 'unknown data' : kind;
    return pieces.length === 1 ? name : `${name} in ${pieces.length} pieces`;
  });
  const kinds = [...new Set(names)];
  onUnseen(`${path} holds ${kinds.length === 0 ? 'no partitions' : kinds.join(', ')}`);
  // debugfs(8) finds a file system by where it begins.
  return contents.flatMap(({ kind, pieces: [piece, ...others], label, uuid }) =>
    /^ext[234]$/.test(kind) && piece !== undefined && others.length === 0
      ? [{ ...piece, ...(label !== undefined && { label }), ...(uuid !== undefined && { uuid }) }]
      : [],
  );
}
