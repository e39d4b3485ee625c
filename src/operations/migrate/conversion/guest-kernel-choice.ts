import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { findGuestKernel } from '../../../guest/boot-menu/find-guest-kernel.ts';
import { isMadeToBoot } from '../../../guest/boot-menu/boot-file-paths.ts';
import type { BootFilePaths } from '../../../guest/boot-menu/take-boot-files.ts';
import type { GuestKernel } from '../../../guest/boot-menu/guest-kernel.ts';
import type { DriverKind, GuestDefinition } from '../../../guest/definition.ts';
import { GUEST_KERNEL, refuseConversionOfImage, type ConversionRequest } from './guest-there.ts';

/** They load a kernel for the guest, and can load that of any Linux. */
const loaders: readonly DriverKind[] = ['qemu', 'libvirt'];

/**
 * Whether the guest gets its own kernel: `chosen` by the person, or `usual` for a guest that pygrub booted, which had it before. Throws Failure
 * `usage` for a choice that does not fit.
 */
export function wantsGuestKernel(
  { name, driver, boot = 'kernel' }: Pick<GuestDefinition, 'name' | 'driver' | 'boot'>,
  { as, kernel, initrd }: Pick<ConversionRequest, 'as' | 'kernel' | 'initrd'>,
): 'chosen' | 'usual' | null {
  const there = as ?? driver;
  if (kernel !== GUEST_KERNEL) {
    const hadItsOwn = boot === 'boot-loader' && there !== driver && loaders.includes(there);
    return hadItsOwn && kernel === null && initrd === null ? 'usual' : null;
  }
  refuseConversionOfImage({ name, driver });
  if (initrd !== null)
    throw new Failure('usage', '--kernel guest brings its own initial RAM disk: --initrd has no place.', {
      advice: 'Omit --initrd, or name both files of the new machine.',
    });
  if (!loaders.includes(there))
    throw new Failure(
      'usage',
      `--kernel guest is for guests of QEMU and libvirt, and ${name} goes to ${there}.`,
      {
        advice:
          there === 'uml'
            ? 'User Mode Linux boots only kernels that are made for it. Omit --kernel: the new machine has one.'
            : 'Name a kernel of the new machine with --kernel FILE.',
      },
    );
  if (there === driver && boot !== 'kernel')
    throw new Failure('usage', `${name} boots its own kernel already, from ${boot}.`, {
      advice: 'Omit --kernel.',
    });
  return 'chosen';
}

/**
 * A guest that an earlier move gave the kernel on its own disk gets that one again, unless another is chosen: the file that it boots is
 * on this machine only.
 * @param made names of files that this machine makes to boot the guest
 */
export function keepGuestKernel(
  request: ConversionRequest,
  { driver, kernel }: Pick<GuestDefinition, 'driver' | 'kernel'>,
  made: BootFilePaths,
): ConversionRequest {
  const isOpen = request.kernel === null && request.initrd === null;
  const hasItsOwn = isMadeToBoot(kernel, made) && loaders.includes(request.as ?? driver);
  return isOpen && hasItsOwn ? { ...request, kernel: GUEST_KERNEL } : request;
}

/**
 * The guest's own kernel, if it gets that one. Throws Failure `guest-unsupported` and `read-failed` if it was chosen and cannot be used; where it
 * is only usual, a warning says why the guest gets the new machine's kernel.
 * @param definition its disks as they can be read now
 */
export async function findWantedKernel(
  definition: GuestDefinition,
  request: ConversionRequest,
  { isInUse }: { isInUse: boolean },
  context: Context,
): Promise<GuestKernel | null> {
  const wanted = wantsGuestKernel(definition, request);
  if (wanted === null) return null;
  try {
    const kernel = await findGuestKernel(definition, context, isInUse);
    requireDiskDriver(definition.name, kernel);
    return kernel;
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof Failure) || wanted === 'chosen') throw error;
    const message = `${definition.name} gets the new machine's kernel, not its own: ${error.message}`;
    context.report({ type: 'warning', code: 'kernel-differs', message });
    return null;
  }
}

function requireDiskDriver(name: string, { version, buses }: GuestKernel): void {
  if (buses === null || buses.some((bus) => bus !== 'xen')) return;
  throw new Failure(
    'guest-unsupported',
    `The kernel ${version} of ${name} has no driver for a disk that QEMU offers, neither in itself nor in its initial RAM disk.`,
    {
      advice:
        'Name a kernel of the new machine: --kernel FILE --initrd FILE. Or put virtio_blk into the initial RAM disk in the guest first.',
    },
  );
}
