import { isDeepStrictEqual } from 'node:util';
import type { Context } from '../../../events.ts';
import type { GuestKernel } from '../../../guest/boot-menu/guest-kernel.ts';
import type { DiskDefinition, GuestDefinition } from '../../../guest/definition.ts';
import { withImage } from '../../../guest/disks/with-image.ts';
import type { GuestSystem } from '../../../guest/inspection/guest-system.ts';
import type { TargetFormat } from '../../../image/target/target-format.ts';
import { findWantedKernel } from './guest-kernel-choice.ts';
import {
  GUEST_KERNEL,
  guestThere,
  seenKernel,
  type ConversionRequest,
  type GuestThere,
} from './guest-there.ts';

export interface HaltedMove {
  request: { conversion: ConversionRequest };
  guest: { definition: GuestDefinition };
  /** As it was planned before the halt, and completed by the new machine. */
  there: GuestThere;
  /** Of the disks that move. */
  places: readonly { disk: DiskDefinition; path: string; format: TargetFormat }[];
}

/**
 * Looks for the guest's own kernel again, if it is to boot that one: since the preflight the guest may have replaced it. Tells of
 * another one. Throws Failure `guest-unsupported` and `read-failed` if it has none any more that can be used.
 * @param system as the guest is now
 */
export async function withKernelNow(
  { request: { conversion }, guest: { definition }, there, places }: HaltedMove,
  system: GuestSystem | null,
  context: Context,
): Promise<GuestThere> {
  const before = seenKernel(there);
  if (before === null) return there;
  // There is no way back to the new machine's kernel: the preflight has not looked at that one.
  const request = { ...conversion, kernel: GUEST_KERNEL };
  const kernel = await findWantedKernel(definition, request, { isInUse: false }, context);
  if (kernel === null || isDeepStrictEqual(bootOf(kernel), bootOf(before))) return there;
  const disks = definition.disks.map((disk) => {
    const place = places.find((one) => one.disk === disk);
    return place === undefined ? disk : withImage(disk, place);
  });
  const now = guestThere(definition, { ...definition, disks }, request, system, kernel);
  const message = `${definition.name} has got another kernel since the preflight: it boots ${kernel.kernel} (${kernel.version}, by ${kernel.foundBy}), not ${before.kernel} (${before.version}).`;
  context.report({ type: 'warning', code: 'kernel-differs', message });
  const { commandLine, networkCards } = now.definition;
  return {
    ...now,
    definition: {
      ...there.definition,
      disks: now.definition.disks,
      commandLine,
      ...(networkCards === undefined ? {} : { networkCards }),
      // The new machine gives them their names.
      initrd: kernel.initrds.length === 0 ? null : (there.definition.initrd ?? there.definition.kernel),
    },
  };
}

/** What the guest boots, without what only tells of it. */
function bootOf({ kernel, initrds, place, version, arguments: words, root, buses }: GuestKernel) {
  return { kernel, initrds, place, version, words, root, buses };
}
