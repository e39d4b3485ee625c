import { existsSync } from 'node:fs';
import type { GuestDefinition } from '../../definition.ts';
import { machinesKernel } from '../machines-kernel.ts';

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
