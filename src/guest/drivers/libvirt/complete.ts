import { existsSync } from 'node:fs';
import type { Context } from '../../../events.ts';
import { isExecutableFile } from '../../../system/children/find-program.ts';
import type { GuestDefinition } from '../../definition.ts';
import { machinesKernel } from '../machines-kernel.ts';
import { withoutEmulator } from './domain/emulator.ts';

/**
 * What belongs to the machine that the guest came from is left to this one: a path of QEMU that is not here, media of drives, and
 * the kernel of a guest that boots from one and names none.
 */
export function completeDomain(
  definition: GuestDefinition,
  context: Context,
  kernels = '/boot',
): Promise<GuestDefinition> {
  const warn = (message: string) => context.report({ type: 'warning', code: 'other', message });
  const { name, native, drives, boot = 'kernel', kernel, initrd } = definition;
  const own = boot === 'kernel' && kernel === null ? machinesKernel(kernels) : null;
  const emptied = drives?.map((drive) => {
    if (drive.path === null || existsSync(drive.path)) return drive;
    warn(`The medium ${drive.path} of ${name} is not here: its drive ${drive.device} is empty.`);
    return { ...drive, path: null };
  });
  const changed = native === undefined ? null : withoutEmulator(native.text, isExecutableFile);
  return Promise.resolve({
    ...definition,
    ...(own === null ? {} : { kernel: own.kernel, initrd: initrd ?? own.initrd }),
    ...(emptied === undefined ? {} : { drives: emptied }),
    ...(native === undefined || changed === null ? {} : { native: { ...native, text: changed } }),
  });
}
