import { chmod, copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { findTool } from '../../support/programs/tools.ts';
import { succeed } from '../base/command.ts';
import { copyModules } from './modules.ts';

/** Buses, disks, network cards and the file system of guests under QEMU, libvirt and Xen; the button that asks to halt. */
export const initrdModules = [
  'virtio_pci',
  'virtio_blk',
  'virtio_scsi',
  'virtio_net',
  'virtio_console',
  'virtio_rng',
  'ata_piix',
  'ahci',
  'sd_mod',
  'e1000',
  'xen-blkfront',
  'xen-netfront',
  'button',
  'evdev',
  'ext4',
  'crc32c_generic',
];

const programs = 'sh mount umount cat echo findfs modprobe poweroff switch_root tr usleep'.split(' ');

/**
 * Makes an initrd, which is not compressed: unpacking takes longer than loading without hardware virtualization.
 * `modulesTree`: where `lib/modules` is. `scratch`: a new directory.
 */
export async function buildInitrd(
  target: string,
  version: string,
  modulesTree: string,
  scratch: string,
): Promise<void> {
  for (const directory of ['bin', 'dev', 'proc', 'sys', 'new'])
    await mkdir(join(scratch, directory), { recursive: true });
  await copyFile(findTool('busybox') ?? 'busybox', join(scratch, 'bin/busybox'));
  for (const program of programs) await symlink('busybox', join(scratch, 'bin', program));
  await copyFile(join(import.meta.dirname, 'init.sh'), join(scratch, 'init'));
  await chmod(join(scratch, 'init'), 0o755);
  await copyModules(modulesTree, scratch, version, initrdModules);
  const script =
    'cd "$1" && find . | sort | cpio --quiet --create --format=newc --owner=0:0 --reproducible >"$2"';
  await succeed('sh', ['-c', script, 'sh', scratch, target]);
}
