import { posix } from 'node:path';
import { listExtDirectory } from '../../image/contents/ext-files.ts';
import { followExtLinks } from '../../image/contents/follow-links.ts';
import { initrdNames, type BootDirectory } from '../inspection/inspect-kernels.ts';
import { compareVersions } from '../inspection/version-order.ts';

/** What editors, people and package managers leave beside a file. */
const spareCopy = /\.(?:bak|old|orig|dpkg-\w+|rpm\w+)$/;

export interface KernelFiles {
  kernel: string;
  initrds: readonly string[];
}

/** The links that Debian keeps to its newest kernel, in / or in /boot. */
export async function findLinkedKernel({ debugfs, path }: BootDirectory): Promise<KernelFiles | null> {
  for (const directory of new Set([posix.dirname(path || '/'), path || '/'])) {
    const kernel = posix.join(directory, 'vmlinuz');
    if ((await followExtLinks(debugfs, kernel))?.file.type !== 'regular') continue;
    const initrd = posix.join(directory, 'initrd.img');
    const hasInitrd = (await followExtLinks(debugfs, initrd))?.file.type === 'regular';
    return { kernel, initrds: hasInitrd ? [initrd] : [] };
  }
  return null;
}

/** The kernel of the highest version in the directory, with the initial RAM disk of that version. */
export async function findNewestKernel({ debugfs, path }: BootDirectory): Promise<KernelFiles | null> {
  const names = await listExtDirectory(debugfs, path || '/');
  const kernels = names.filter((name) => name.startsWith('vmlinuz-') && !spareCopy.test(name));
  const [first] = kernels;
  if (first === undefined) return null;
  // One look at each name: a hostile directory has a hundred thousand.
  const newest = kernels.reduce((one, other) => (compareVersions(one, other) < 0 ? other : one), first);
  const initrd = initrdNames(newest.slice('vmlinuz-'.length)).find((name) => names.includes(name));
  return { kernel: `${path}/${newest}`, initrds: initrd === undefined ? [] : [`${path}/${initrd}`] };
}
