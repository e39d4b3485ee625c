import type { Context } from '../../../events.ts';
import { parseGuestDefinition, type GuestDefinition } from '../../../guest/definition.ts';
import type { GuestSystem } from '../../../guest/inspection/guest-system.ts';
import { runStage } from '../../../pipeline/run-stage.ts';
import type { RemoteReceiver } from '../../../wire/remote-receiver.ts';
import { lookInside, planFixups } from './adaptation.ts';
import { adaptationWork } from './adaptation-work.ts';
import { withKernelNow, type HaltedMove } from './kernel-after-halt.ts';

interface AdaptedMove extends HaltedMove {
  /** As it was before the halt; null if nobody could look into it. */
  system: GuestSystem | null;
  line: { receiver: RemoteReceiver };
}

/**
 * Changes what has to change in the published copy, or at its boot. The guest was looked at while it ran, so it is looked at
 * again. Returns the definition to boot there.
 */
export async function adaptThere(move: AdaptedMove, context: Context): Promise<GuestDefinition> {
  const {
    request: { conversion },
    guest: { definition },
    system: before,
    line,
  } = move;
  const system = await lookInside(definition, conversion, { isToldBefore: before === null }, context);
  const there = await withKernelNow(move, system, context);
  const fixups = planFixups(definition, there, conversion, system);
  const work = adaptationWork(there, fixups, system);
  const hasFixups = (fixups?.edits.length ?? 0) > 0 || work.bootArchive !== null;
  if (!hasFixups && work.bootFiles === undefined) return work.guest;
  const answer = await runStage(
    context,
    'adapt',
    `adapting ${definition.name} to ${there.definition.driver}`,
    () => line.receiver.request({ type: 'adapt', ...work }, 'adapted', context.signal),
    () => `${definition.name} is adapted to ${there.definition.driver}`,
  );
  return parseGuestDefinition(answer.guest);
}
