import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestKernel } from '../../rigs/kernel/guest-kernel.ts';
import type { GuestProgram } from './guest-programs.ts';

/** What the boot menu of `ownKernel` tells the kernel, beside root=. */
export const MENU_ARGUMENT = 'own.menu=yes';

/** The guest has a kernel, an initial RAM disk and a boot menu of its own, and says on its console which kernel it runs. */
export function ownKernel({ packedKernel, initrd, version }: GuestKernel, root: string): GuestProgram {
  return {
    async install(tree) {
      const boot = join(tree, 'boot');
      await mkdir(join(boot, 'grub'), { recursive: true });
      await copyFile(packedKernel, join(boot, `vmlinuz-${version}`));
      await copyFile(initrd, join(boot, `initrd.img-${version}`));
      await writeFile(join(boot, 'grub/grub.cfg'), bootMenu(version, root, '/boot'));
    },
    startLines: ['echo "BOOTED $(busybox uname -r) by $(cat /proc/cmdline)"'],
  };
}

export function bootMenu(version: string, root: string, directory: string): string {
  return [
    'set default="0"',
    "menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple' {",
    `\tlinux\t${directory}/vmlinuz-${version} root=${root} rw panic=-1 ${MENU_ARGUMENT} $vt_handoff`,
    `\tinitrd\t${directory}/initrd.img-${version}`,
    '}\n',
  ].join('\n');
}

/** The header of a kernel of x86, with its version, and bytes after it. */
export function smallKernel(version: string): Buffer {
  const kernel = Buffer.alloc(70_001, version);
  kernel.write('HdrS', 0x202);
  kernel.writeUInt16LE(0x300, 0x20e);
  kernel.write(`${version} (root@here)\0`, 0x500);
  return kernel;
}
