import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { planAdaptation, type Adaptation } from '../../../guest/adaptation/plan.ts';
import type { GuestDefinition } from '../../../guest/definition.ts';
import type { GuestSystem } from '../../../guest/inspection/guest-system.ts';
import { inspectGuestSystem } from '../../../guest/inspection/inspect-guest-system.ts';
import { isConversion, type ConversionRequest, type GuestThere } from './guest-there.ts';

/** What is inside the guest; null if nobody could look, or if it does not matter. */
export async function lookInside(
  definition: GuestDefinition,
  request: ConversionRequest,
  context: Context,
): Promise<GuestSystem | null> {
  if (!isConversion(request, definition)) return null;
  // An image of another format is not laid out like its disk.
  const paths = definition.disks.map(({ path, format = 'raw' }) => (format === 'raw' ? path : null));
  try {
    return await inspectGuestSystem(paths, context);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof Failure)) throw error;
    const message = `vmferry could not look into ${definition.name}, so nothing in it is adapted: ${error.message}`;
    context.report({ type: 'warning', code: 'guest-not-adapted', message });
    return null;
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
  });
}
