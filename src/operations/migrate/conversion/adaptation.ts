import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { planAdaptation, type Adaptation } from '../../../guest/adaptation/plan.ts';
import type { GuestDefinition } from '../../../guest/definition.ts';
import type { GuestSystem } from '../../../guest/inspection/guest-system.ts';
import { inspectGuestSystem } from '../../../guest/inspection/inspect-guest-system.ts';
import { isConversion, seenKernel, type ConversionRequest, type GuestThere } from './guest-there.ts';

export interface LookOptions {
  /** The guest runs now. */
  isInUse?: boolean;
  /** It was said before that nobody can look into this guest. */
  isToldBefore?: boolean;
}

/** What is inside the guest; null if it does not matter, or, with a warning, if nobody could look. */
export async function lookInside(
  { name, driver, disks }: GuestDefinition,
  request: ConversionRequest,
  { isInUse = false, isToldBefore = false }: LookOptions,
  context: Context,
): Promise<GuestSystem | null> {
  if (!isConversion(request, { driver })) return null;
  const unseen: string[] = [];
  const onUnseen = (reason: string) => unseen.push(reason);
  const cannotLook = (reason: string) => {
    const message = `vmferry could not look into ${name}, so nothing in it is adapted: ${reason}`;
    if (!isToldBefore) context.report({ type: 'warning', code: 'guest-not-adapted', message });
    return null;
  };
  try {
    const system = await inspectGuestSystem(disks, context, { isInUse, onUnseen });
    const looksFor =
      'It looks for a root file system of ext2, ext3 or ext4, on a disk, a partition or a logical volume in one piece.';
    return system ?? cannotLook([...unseen, looksFor].join('. '));
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof Failure)) throw error;
    return cannotLook(error.message);
  }
}

/** What the guest needs there, beyond its definition. Null if it stays as it is. */
export function planFixups(
  definition: GuestDefinition,
  there: GuestThere,
  request: ConversionRequest,
  system: GuestSystem | null,
): Adaptation | null {
  if (!request.fixups || !isConversion(request, definition)) return null;
  return planAdaptation({
    from: definition,
    to: there.definition,
    system,
    newDiskIndexes: there.newDiskIndexes,
    useBoot: !hasNoShell(there),
  });
}

/** The initial RAM disk of an old guest may run no scripts (nash, by mkinitrd): its disk is changed instead. */
function hasNoShell(there: GuestThere): boolean {
  return seenKernel(there)?.hasShell === false;
}
