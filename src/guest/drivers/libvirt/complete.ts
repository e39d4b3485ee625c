import { existsSync } from 'node:fs';
import type { Context } from '../../../events.ts';
import { isExecutableFile } from '../../../system/children/find-program.ts';
import type { GuestDefinition } from '../../definition.ts';
import { withoutEmulator } from './domain/emulator.ts';
import type { Virsh } from './virsh.ts';

/**
 * What belongs to the machine that the guest came from is left to this one: a path of QEMU that is not here, and media of drives.
 * A kernel is not looked for.
 */
export function completeDomain(
  definition: GuestDefinition,
  _virsh: Virsh,
  context: Context,
): Promise<GuestDefinition> {
  const warn = (message: string) => context.report({ type: 'warning', code: 'other', message });
  const { name, native, drives } = definition;
  const emptied = drives?.map((drive) => {
    if (drive.path === null || existsSync(drive.path)) return drive;
    warn(`The medium ${drive.path} of ${name} is not here: its drive ${drive.device} is empty.`);
    return { ...drive, path: null };
  });
  const changed = native === undefined ? null : withoutEmulator(native.text, isExecutableFile);
  return Promise.resolve({
    ...definition,
    ...(emptied === undefined ? {} : { drives: emptied }),
    ...(native === undefined || changed === null ? {} : { native: { ...native, text: changed } }),
  });
}
