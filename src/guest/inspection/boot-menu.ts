import { readExtFile } from '../../image/contents/ext-files.ts';
import type { BootDirectory } from './inspect-kernels.ts';

/** Below /boot: GRUB 2 (two names of its directory), GRUB 1, and what pygrub also reads. */
const menus = [
  'grub/grub.cfg',
  'grub2/grub.cfg',
  'grub/menu.lst',
  'grub/grub.conf',
  'extlinux/extlinux.conf',
];

/** What the guest's own boot menu tells its kernels of the root file system: `/dev/sda1`, `UUID=…`. Each once. */
export async function rootsInBootMenu(directories: readonly BootDirectory[]): Promise<string[]> {
  const roots: string[] = [];
  for (const { debugfs, path } of directories)
    for (const menu of menus) roots.push(...findRoots((await readExtFile(debugfs, `${path}/${menu}`)) ?? ''));
  return [...new Set(roots)];
}

/** Only lines with a kernel's arguments: scripts in the menu have variables of that name, too. */
export function findRoots(menu: string): string[] {
  const lines = [...menu.matchAll(/^[ \t]*(?:linux(?:16|efi)?|kernel|module2?|append)[ \t]+(.*)$/gim)];
  return lines.flatMap(([, line = '']) => {
    const root = /(?:^|\s)root=(\S+)/.exec(line)?.[1];
    return root === undefined || root.includes('$') ? [] : [root];
  });
}
