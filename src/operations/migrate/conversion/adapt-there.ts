import type { Context } from '../../../events.ts';
import { parseGuestDefinition, type GuestDefinition } from '../../../guest/definition.ts';
import type { GuestSystem } from '../../../guest/inspection/guest-system.ts';
import { runStage } from '../../../pipeline/run-stage.ts';
import type { RemoteReceiver } from '../../../wire/remote-receiver.ts';
import { lookInside, planFixups } from './adaptation.ts';
import type { ConversionRequest, GuestThere } from './guest-there.ts';

interface AdaptedMove {
  request: { conversion: ConversionRequest };
  guest: { definition: GuestDefinition };
  there: GuestThere;
  /** As it was before the halt; null if nobody could look into it. */
  system: GuestSystem | null;
  line: { receiver: RemoteReceiver };
}

/**
 * Changes what has to change in the published copy, or at its boot. The guest was looked at while it ran, so it is looked at
 * again. Returns the definition to boot there.
 */
export async function adaptThere(
  { request: { conversion }, guest: { definition }, there, system: before, line }: AdaptedMove,
  context: Context,
): Promise<GuestDefinition> {
  const system = await lookInside(definition, conversion, { isToldBefore: before === null }, context);
  const fixups = planFixups(definition, there, conversion, system);
  if (fixups === null) return there.definition;
  const { edits, bootArchive, commandLine } = fixups;
  const adapted = { ...there.definition, commandLine };
  if (edits.length === 0 && bootArchive === null) return adapted;
  const index = system === null ? null : (there.newDiskIndexes[system.root.diskIndex] ?? null);
  const disk = index === null ? undefined : adapted.disks[index];
  const root =
    system === null || disk === undefined || edits.length === 0
      ? null
      : { path: disk.path, offset: system.root.offset };
  const answer = await runStage(
    context,
    'adapt',
    `adapting ${definition.name} to ${adapted.driver}`,
    () =>
      line.receiver.request(
        {
          type: 'adapt',
          guest: adapted,
          root,
          edits: root === null ? [] : edits.map(({ path, before, after }) => ({ path, before, after })),
          bootArchive: bootArchive === null ? null : Buffer.from(bootArchive).toString('base64'),
        },
        'adapted',
        context.signal,
      ),
    () => `${definition.name} is adapted to ${adapted.driver}`,
  );
  return parseGuestDefinition(answer.guest);
}
