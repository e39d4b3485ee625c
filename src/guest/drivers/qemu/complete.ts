import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestDefinition } from '../../definition.ts';

/** Firmware of Debian, Fedora and Arch. */
const uefiCodes = [
  '/usr/share/OVMF/OVMF_CODE_4M.fd',
  '/usr/share/OVMF/OVMF_CODE.fd',
  '/usr/share/edk2/ovmf/OVMF_CODE.fd',
  '/usr/share/edk2/x64/OVMF_CODE.4m.fd',
];

/** See `GuestDriver.complete`: the machine's own kernel and initial RAM disk, and its UEFI firmware. */
export function completeQemu(definition: GuestDefinition): GuestDefinition {
  const { boot = 'kernel', kernel, initrd, firmware } = definition;
  const found = boot === 'kernel' && kernel === null ? machinesKernel() : null;
  const code =
    firmware?.kind === 'uefi' && firmware.code === null
      ? uefiCodes.find((path) => existsSync(path))
      : undefined;
  return {
    ...definition,
    ...(found === null ? {} : { kernel: found.kernel, initrd: initrd ?? found.initrd }),
    ...(code === undefined ? {} : { firmware: { kind: 'uefi' as const, code } }),
  };
}

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
