import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { findTool, toolsMissing } from '../../support/programs/tools.ts';
import { cachedBuild, digestOfFiles } from '../base/build-cache.ts';
import { succeed } from '../base/command.ts';
import { buildInitrd, initrdModules } from './initrd.ts';
import { newestLinuxPackage, unpackLinuxPackage } from './linux-package.ts';
import { copyModules } from './modules.ts';
import { unpackKernel } from './unpack-kernel.ts';

/** Debian's kernel, for guests of QEMU, libvirt and Xen. */
export interface GuestKernel {
  /** An ELF file, which QEMU's `-kernel` and Xen boot as it is. */
  kernel: string;
  /** The same kernel as a bzImage, as Debian installs it. It takes 10 s longer to boot without hardware virtualization. */
  packedKernel: string;
  /** Loads the drivers of this machine's devices, and mounts the file system that `root=` names. */
  initrd: string;
  /** `lib/modules` in it has the modules of the initrd, and those that a host of Xen needs. */
  modulesTree: string;
  /** `6.1.0-57-amd64` */
  version: string;
}

/** For a dom0: bridges, loop devices, Xen's devices, slow lines, volumes. */
const hostModules = (
  'loop bridge tun veth dm-mod dm-snapshot nbd fuse sch_netem sch_tbf ' +
  'xen-blkback xen-netback xen-gntdev xen-gntalloc xen-evtchn xen-privcmd xenfs'
).split(' ');

/** Why no guest's kernel can be made here; null when one can. */
export function guestKernelMissing(): string | null {
  if (process.arch !== 'x64') return `the guests' kernel is for amd64, and this machine is ${process.arch}`;
  return toolsMissing('apt-get', 'apt-cache', 'dpkg-deb', 'busybox', 'cpio', 'xz', 'depmod', 'modprobe');
}

/** Made once from Debian's package, without installing it, and kept in the rigs' cache. */
export async function guestKernel(): Promise<GuestKernel> {
  const linux = await newestLinuxPackage();
  const busybox = readFileSync(findTool('busybox') ?? 'busybox');
  const directory = await cachedBuild({
    name: 'kernel',
    key: [
      linux.name,
      linux.packageVersion,
      digestOfFiles(import.meta.dirname, readdirSync(import.meta.dirname).toSorted()),
      createHash('sha256').update(busybox).digest('hex'),
    ],
    build: async (target) => {
      const scratch = await mkdtemp(join(target, 'scratch-'));
      await unpackLinuxPackage(linux, scratch);
      await makeFiles(scratch, target);
      await rm(scratch, { recursive: true });
    },
  });
  return {
    kernel: join(directory, 'vmlinux'),
    packedKernel: join(directory, 'vmlinuz'),
    initrd: join(directory, 'initrd.img'),
    modulesTree: join(directory, 'modules'),
    version: (await readFile(join(directory, 'version'), 'utf8')).trim(),
  };
}

async function makeFiles(unpacked: string, target: string): Promise<void> {
  const [version] = await readdir(join(unpacked, 'lib/modules'));
  if (version === undefined) throw new Error('the package of the kernel has no modules');
  await writeFile(join(target, 'version'), `${version}\n`);
  await copyFile(join(unpacked, 'boot', `vmlinuz-${version}`), join(target, 'vmlinuz'));
  await unpackKernel(join(target, 'vmlinuz'), join(target, 'vmlinux'));
  await succeed('depmod', ['-b', unpacked, version]);
  await buildInitrd(join(target, 'initrd.img'), version, unpacked, join(unpacked, 'initrd'));
  await copyModules(unpacked, join(target, 'modules'), version, [...initrdModules, ...hostModules]);
}
