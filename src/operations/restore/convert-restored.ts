import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Context } from '../../events.ts';
import { makeAdaptation } from '../../guest/adaptation/make-adaptation.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { lookInside, planFixups } from '../migrate/conversion/adaptation.ts';
import {
  guestThere,
  tellOfConversion,
  type ConversionRequest,
  type GuestThere,
} from '../migrate/conversion/guest-there.ts';

/** A restored guest as it is to run on this machine. */
export interface RestoredGuest {
  /** As in the snapshot, with its disks at their new places. */
  restored: GuestDefinition;
  there: GuestThere;
}

/**
 * Converts the guest of a snapshot, if that was asked for, and fills in what its definition leaves to this machine. Tells of
 * all changes and losses. Throws Failure `usage` for a choice that does not fit.
 */
export async function convertRestored(
  definition: GuestDefinition,
  restored: GuestDefinition,
  request: ConversionRequest,
  drivers: readonly GuestDriver[],
  context: Context,
): Promise<RestoredGuest> {
  const there = guestThere(definition, restored, request, null);
  tellOfConversion(there, context.report);
  const driver = requireDriver(drivers, there.definition.driver);
  return { restored, there: { ...there, definition: await driver.complete(there.definition, context) } };
}

/**
 * Changes what has to change in the restored disks, or at their boot. Returns the definition to boot. Throws as
 * `makeAdaptation`; what was restored stays.
 * @param initrdPath a file that may be made
 */
export async function adaptRestored(
  { restored, there }: RestoredGuest,
  request: ConversionRequest,
  initrdPath: string,
  context: Context,
): Promise<GuestDefinition> {
  const system = await lookInside(restored, request, {}, context);
  const fixups = planFixups(restored, there, request, system);
  if (fixups === null) return there.definition;
  tellOfConversion({ changes: fixups.changes, losses: [] }, context.report);
  for (const message of fixups.warnings)
    context.report({ type: 'warning', code: 'guest-not-adapted', message });
  const definition = { ...there.definition, commandLine: fixups.commandLine };
  const index = system === null ? null : (there.newDiskIndexes[system.root.diskIndex] ?? null);
  const disk = index === null ? undefined : definition.disks[index];
  const hasEdits = fixups.edits.length > 0 && system !== null && disk !== undefined;
  const work = {
    definition,
    root: hasEdits ? { path: disk.path, offset: system.root.offset } : null,
    edits: fixups.edits,
    bootArchive: fixups.bootArchive,
  };
  await mkdir(dirname(initrdPath), { recursive: true });
  return runStage(
    context,
    'adapt',
    `adapting ${definition.name} to ${definition.driver}`,
    () => makeAdaptation(work, initrdPath, context),
    () => `${definition.name} is adapted to ${definition.driver}`,
  );
}
