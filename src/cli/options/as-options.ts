import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import type { ConversionRequest } from '../../operations/migrate/conversion/guest-there.ts';
import type { StartAfterRestore } from '../../operations/restore/restore-report.ts';
import { conversionOptions, isGuestKernel, readConversionOptions } from './conversion-options.ts';
import { readBootOptions } from './guest-options.ts';
import { flag, optionalText, type Arguments } from './options.ts';

const kinds = ['xen', 'qemu', 'libvirt', 'uml'] as const;

/** For commands that boot a guest under another hypervisor. */
export const asOptions = {
  as: {
    choices: kinds,
    requiresArg: true,
    describe: 'The hypervisor that runs the guest there (default: its own); --dry-run shows what changes',
  },
  ...conversionOptions,
  'no-fixups': {
    type: 'boolean',
    describe: 'Change nothing in the guest: neither fstab nor login prompt nor names of network cards',
  },
} as const satisfies Record<string, Options>;

/** Throws Failure `usage`. */
export function readConversion(args: Arguments): ConversionRequest {
  for (const name of ['kernel', 'initrd'])
    if (optionalText(args, name)?.startsWith('/') === false && !isGuestKernel(name, args))
      throw new Failure('usage', `--${name} takes an absolute path, because it is on the new hardware.`, {
        advice: 'For the kernel that the guest has on its own disk: --kernel guest',
      });
  const as = optionalText(args, 'as');
  return {
    as: kinds.find((kind) => kind === as) ?? null,
    ...readConversionOptions(args),
    fixups: !flag(args, 'no-fixups'),
  };
}

export const oldHostIsGoneOption = {
  type: 'boolean',
  describe:
    'With --start: the machine that ran the guest is off for good. Without it, vmferry asks on the terminal',
} as const satisfies Options;

/** How a guest is started whose disks were restored or imported; null without --start. Throws Failure `usage`. */
export function readStart(args: Arguments): Omit<StartAfterRestore, 'ask'> | null {
  if (flag(args, 'start'))
    return {
      ...readBootOptions(args),
      conversion: readConversion(args),
      oldHostIsGone: flag(args, 'old-host-is-gone'),
    };
  if (flag(args, 'old-host-is-gone'))
    throw new Failure('usage', '--old-host-is-gone has an effect only with --start.', {
      advice: 'Add --start to boot the guest here, or omit --old-host-is-gone.',
    });
  for (const name of ['as', 'kernel', 'initrd', 'network', 'no-fixups'])
    if (args[name] !== undefined) throw new Failure('usage', `--${name} has an effect only with --start.`);
  return null;
}
