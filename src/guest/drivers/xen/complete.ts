import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Context } from '../../../events.ts';
import type { GuestDefinition } from '../../definition.ts';
import { readNamedFiles, withBootLoader } from './config/named-files.ts';
import { readXenConfig } from './config/read.ts';
import { findPygrub, type XenHost } from './host/host.ts';

const PYGRUB = 'pygrub';

export interface OwnKernel {
  kernel: string;
  initrd: string | null;
}

/**
 * Fills in this machine's own kernel and initial RAM disk for a guest that boots from a kernel and names none, and its own pygrub, which has the
 * version of Xen in its path, for one whose pygrub is not here.
 */
export function completeXen(
  definition: GuestDefinition,
  host: XenHost,
  { report }: Pick<Context, 'report'>,
): Promise<GuestDefinition> {
  const { kernel, boot = 'kernel' } = definition;
  if (boot === 'boot-loader') return Promise.resolve(withPygrub(definition, host, report));
  if (kernel !== null || boot !== 'kernel') return Promise.resolve(definition);
  const own = findOwnKernel(host.kernelDirectory);
  return Promise.resolve(
    own === null ? definition : { ...definition, ...own, initrd: definition.initrd ?? own.initrd },
  );
}

function withPygrub(definition: GuestDefinition, host: XenHost, report: Context['report']): GuestDefinition {
  const { name, native } = definition;
  if (native === undefined || readXenConfig(native.text).definition === null) return definition;
  const named = readNamedFiles(native.text).files.find(({ key }) => key === 'bootloader')?.path;
  if (named === undefined || basename(named) !== PYGRUB || existsSync(named)) return definition;
  if (findPygrub(host) === null) return definition;
  const message = `The boot loader ${named} of ${name} is missing; ${name} gets the pygrub of this Xen.`;
  report({ type: 'warning', code: 'other', message });
  return { ...definition, native: { ...native, text: withBootLoader(native.text, PYGRUB) } };
}

/**
 * The newest kernel of this machine that can be a guest of Xen, with its initial RAM disk. A kernel whose driver for Xen's disks is
 * a module needs one, which loads it.
 */
export function findOwnKernel(directory: string): OwnKernel | null {
  const names = namesIn(directory);
  const versions = names
    .flatMap((name) => /^vmlinu[xz]-(.+)$/.exec(name)?.[1] ?? [])
    .toSorted((one, other) => other.localeCompare(one, 'en', { numeric: true }));
  const numbered = [...new Set(versions)].flatMap((version) => kernelOf(directory, version));
  const plain = ['vmlinux', 'vmlinuz'].filter((name) => names.includes(name));
  const initrds = ['initrd.img', 'initrd.gz', 'initrd'].filter((name) => names.includes(name));
  const unnumbered = plain.map((name) => ({
    kernel: join(directory, name),
    initrd: initrds[0] === undefined ? null : join(directory, initrds[0]),
  }));
  return numbered[0] ?? unnumbered[0] ?? null;
}

function kernelOf(directory: string, version: string): OwnKernel[] {
  const kernel = ['vmlinuz', 'vmlinux'].map((name) => join(directory, `${name}-${version}`)).find(existsSync);
  const initrd =
    [`initrd.img-${version}`, `initramfs-${version}.img`, `initrd-${version}`]
      .map((name) => join(directory, name))
      .find(existsSync) ?? null;
  const support = blockSupport(join(directory, `config-${version}`));
  const canServe = support === 'y' || (support !== 'n' && initrd !== null);
  return kernel !== undefined && canServe ? [{ kernel, initrd }] : [];
}

/** Whether the kernel has the driver of Xen's disks: built in, as a module, or not at all. Without its configuration, a module is assumed. */
function blockSupport(config: string): 'y' | 'm' | 'n' {
  if (!existsSync(config)) return 'm';
  const value = /^CONFIG_XEN_BLKDEV_FRONTEND=([ym])$/m.exec(readFileSync(config, 'utf8'))?.[1];
  return value === 'y' || value === 'm' ? value : 'n';
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
