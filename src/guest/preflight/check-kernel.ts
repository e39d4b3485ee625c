import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { here, placed, type PlacedText } from '../../placed-text.ts';
import type { GuestDefinition } from '../definition.ts';
import type { KernelFacts } from '../guest-driver.ts';
import { kernelVersion } from '../inspection/kernel-version.ts';

/** What the guest's disks need of a kernel that is not on them. */
export interface KernelNeeds {
  /** Kinds of file systems on its disks: `ext4`, `xfs`. */
  fileSystems: readonly string[];
  /** The versions of kernels whose modules are in the guest; null if nobody looked. */
  modulesOf: readonly string[] | null;
}

/** Options of the kernel's configuration; any of them is enough. Other kinds need no file system, or none that is known. */
const optionsOf: Readonly<Record<string, readonly string[]>> = {
  ext2: ['EXT2_FS', 'EXT4_USE_FOR_EXT2'],
  ext3: ['EXT4_FS', 'EXT3_FS'],
  ext4: ['EXT4_FS'],
  xfs: ['XFS_FS'],
  btrfs: ['BTRFS_FS'],
  reiserfs: ['REISERFS_FS'],
  jfs: ['JFS_FS'],
  f2fs: ['F2FS_FS'],
};

/**
 * Whether a kernel of this machine can read the guest's disks, and finds its modules in the guest.
 * @param facts of the kernel that boots the guest; null for a guest that boots its own, and where nothing is known
 */
export function checkKernel(
  { name, initrd, driver }: GuestDefinition,
  { fileSystems, modulesOf }: KernelNeeds,
  facts: KernelFacts | null,
  { report }: Pick<Context, 'report'>,
): Failure[] {
  if (facts === null) return [];
  const { path, version, config } = facts;
  const hasModules = modulesOf?.includes(version) ?? null;
  // Kernels of User Mode Linux are built to need no modules.
  if (driver !== 'uml' && hasModules === false && modulesOf !== null && modulesOf.length > 0) {
    const message = `The kernel ${version} does not find its modules in ${name}, which has those of ${modulesOf.join(', ')}: what is neither in the kernel nor in its initial RAM disk does not work.`;
    report({ type: 'warning', code: 'kernel-differs', message });
  }
  if (config === null) return [];
  return fileSystems.flatMap((kind) => {
    const options = optionsOf[kind] ?? [];
    const values = options.map((option) => new RegExp(`^CONFIG_${option}=([ym])$`, 'm').exec(config)?.[1]);
    if (options.length === 0 || values.includes('y')) return [];
    if (!values.includes('m'))
      return [unreadable(placed`The kernel ${path} ${here} does not know ${kind}, which ${name} has.`)];
    // Modules of a kernel of User Mode Linux may be mounted from this machine.
    if (initrd !== null || driver === 'uml' || hasModules !== false) return [];
    return [
      unreadable(
        placed`The kernel ${path} ${here} has ${kind} as a module, which ${name} does not have, and there is no initial RAM disk.`,
      ),
    ];
  });
}

/**
 * What the files of this machine say of the kernel that a guest boots. Null for a guest that boots its own kernel, and for a file that is no
 * kernel. The configuration is known if it is beside the kernel or with its modules, where distributions have it.
 */
export function kernelFactsOf(
  { boot = 'kernel', kernel }: Pick<GuestDefinition, 'boot' | 'kernel'>,
  modulesDirectory = '/lib/modules',
): KernelFacts | null {
  if (boot !== 'kernel' || kernel === null) return null;
  const version = kernelVersion(kernel);
  return version === null
    ? null
    : { path: kernel, version, config: readConfig(kernel, version, modulesDirectory) };
}

function unreadable(message: PlacedText): Failure {
  return new Failure('hypervisor-missing', message, {
    advice: 'Choose another kernel, with its initial RAM disk.',
  });
}

function readConfig(kernel: string, version: string, modulesDirectory: string): string | null {
  const places = [
    join(dirname(kernel), `config-${version}`),
    join(dirname(kernel), basename(kernel).replace(/^vmlinu[xz]/, 'config')),
    join(modulesDirectory, version, 'config'),
  ];
  for (const place of places.filter((one) => one !== kernel))
    try {
      return readFileSync(place, 'utf8');
    } catch {
      // It is not there.
    }
  return null;
}
