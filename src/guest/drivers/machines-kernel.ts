import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The newest in /boot, and the initial RAM disk of the same version. */
export function machinesKernel(boot = '/boot'): { kernel: string; initrd: string | null } | null {
  const kernels = namesIn(boot).filter((name) => name.startsWith('vmlinuz-'));
  const newest = kernels.toSorted((one, other) => one.localeCompare(other, 'en', { numeric: true })).at(-1);
  if (newest === undefined) return null;
  const version = newest.slice('vmlinuz-'.length);
  const initrd = [`initrd.img-${version}`, `initramfs-${version}.img`, `initrd-${version}`]
    .map((name) => join(boot, name))
    .find((path) => existsSync(path));
  return { kernel: join(boot, newest), initrd: initrd ?? null };
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
