import type { GuestDefinition } from '../../../definition.ts';
import { replacedArguments, type QemuCommand } from './replace.ts';
import { qemuArguments } from './write.ts';

export const DEFAULT_PROGRAM = 'qemu-system-x86_64';

/** The name of a QEMU that only tries whether it works. No guest has such a name. */
export const PROBE_NAME = 'guest= vmferry probe';

/** The command that starts the guest. See `replacedArguments` and `qemuArguments`, also for what they throw. */
export function qemuCommand(definition: GuestDefinition): QemuCommand {
  const { driver, native } = definition;
  if (driver === 'qemu' && native !== undefined) return replacedArguments(definition, native.text);
  return { program: DEFAULT_PROGRAM, args: qemuArguments(definition) };
}
