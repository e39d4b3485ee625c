import type { Options } from 'yargs';
import { Failure } from '../../failure.ts';
import type { ConversionRequest } from '../../operations/migrate/conversion/guest-there.ts';
import { conversionOptions, readConversionOptions } from './conversion-options.ts';
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
    if (optionalText(args, name)?.startsWith('/') === false)
      throw new Failure('usage', `--${name} takes an absolute path, because it is on the new hardware.`);
  const as = optionalText(args, 'as');
  return {
    as: kinds.find((kind) => kind === as) ?? null,
    ...readConversionOptions(args),
    fixups: !flag(args, 'no-fixups'),
  };
}
