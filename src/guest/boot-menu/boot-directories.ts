import { bootDirectoriesOf, type Region } from '../inspection/ext-regions.ts';
import { sourceInFstab } from './fstab-source.ts';

type Directory = ReturnType<typeof bootDirectoriesOf<Region>>[number];

/**
 * Where to look for menus and kernels, in this order. What is mounted on /boot hides what the root file system has there. Where no
 * file system is known as that of the root (it is XFS, or its programs are elsewhere), any may hold /boot.
 */
export function directoriesOf(root: Region | null, regions: readonly Region[], fstab: string): Directory[] {
  if (root === null)
    return ['/boot', ''].flatMap((path) =>
      regions.map((region) => ({ debugfs: region.debugfs, path, region })),
    );
  const [own, ...others] = bootDirectoriesOf(root, regions);
  if (own === undefined) return others;
  const source = sourceInFstab(fstab, '/boot');
  if (source === null) return [own, ...others];
  const named = others.filter(({ region }) => isNamed(region, source));
  if (named.length > 0) return named;
  // Another disk may hold a menu that nothing boots.
  const diskIndex = diskIndexOf(source) ?? root.diskIndex;
  const isNear = ({ region }: Directory) => region.diskIndex === diskIndex;
  return [...others.filter(isNear), ...others.filter((directory) => !isNear(directory)), own];
}

function isNamed({ uuid, label }: Region, source: string): boolean {
  const [, kind = '', value = ''] =
    /^(?:(UUID|LABEL)=|\/dev\/disk\/by-(uuid|label)\/)(.+)$/
      .exec(source)
      ?.filter((part) => part !== undefined) ?? [];
  return value !== '' && (kind.toLowerCase() === 'uuid' ? uuid === value.toLowerCase() : label === value);
}

/** `/dev/xvdb1` is on the second disk, whatever the hypervisor called it. */
function diskIndexOf(source: string): number | null {
  const [, letter] = /^\/dev\/(?:sd|hd|vd|xvd|ubd)([a-p])\d*$/.exec(source) ?? [];
  return letter === undefined ? null : letter.charCodeAt(0) - 'a'.charCodeAt(0);
}
