import { rm } from 'node:fs/promises';
import type { Context } from '../../events.ts';
import { makeAdaptation, type AdaptationWork } from '../../guest/adaptation/make-adaptation.ts';
import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import type { GuestDriver } from '../../guest/guest-driver.ts';
import { requireDriver } from '../../guest/require-driver.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import { lookInside, planFixups } from '../migrate/conversion/adaptation.ts';
import { bootFilesThere } from '../migrate/conversion/adaptation-work.ts';
import { findWantedKernel, wantsGuestKernel } from '../migrate/conversion/guest-kernel-choice.ts';
import {
  guestThere,
  tellOfConversion,
  type ConversionRequest,
  type GuestThere,
} from '../migrate/conversion/guest-there.ts';

interface ArrivalDependencies {
  drivers: readonly GuestDriver[];
  /** New files to boot this guest: nothing has their names. */
  bootFilesOf: (guest: string) => BootFilePaths;
}

/** A restored guest as it is to run on this machine. */
export interface RestoredGuest {
  /** As in the snapshot. */
  before: GuestDefinition;
  /** As in the snapshot, with its disks at their new places. */
  restored: GuestDefinition;
  there: GuestThere;
  /** Of its new hypervisor. */
  driver: GuestDriver;
  /** The files that are made from its disks when those are here; null if its definition names others. */
  coming: BootFilePaths | null;
}

/**
 * Converts the guest of a snapshot, if that was asked for, and fills in what its definition leaves to this machine. Tells of
 * all changes and losses. Throws Failure `usage` for a choice that does not fit.
 */
export async function convertRestored(
  definition: GuestDefinition,
  restored: GuestDefinition,
  request: ConversionRequest,
  { drivers, bootFilesOf }: ArrivalDependencies,
  context: Context,
): Promise<RestoredGuest> {
  const paths = bootFilesOf(definition.name);
  // Its disks are not here yet.
  const guestKernel = wantsGuestKernel(definition, request) === null ? null : 'not-seen';
  const there = guestThere(definition, restored, request, null, guestKernel);
  tellOfConversion(there, context.report);
  const driver = requireDriver(drivers, there.definition.driver);
  const coming = guestKernel === null ? null : paths;
  const wanted = coming === null ? there.definition : { ...there.definition, kernel: coming.kernel };
  const completed = await driver.complete(wanted, context);
  return { before: definition, restored, there: { ...there, definition: completed }, driver, coming };
}

/** The restored guest, with the kernel that its disks have now. */
async function withGuestKernel(
  { before, restored, there, driver }: RestoredGuest,
  request: ConversionRequest,
  paths: BootFilePaths,
  context: Context,
): Promise<GuestThere> {
  const kernel = await findWantedKernel(restored, request, { isInUse: false }, context);
  const seen = guestThere(before, restored, request, null, kernel);
  const isNew = (sentence: string) => ![...there.changes, ...there.losses].includes(sentence);
  const { changes, losses } = seen;
  tellOfConversion({ changes: changes.filter(isNew), losses: losses.filter(isNew) }, context.report);
  const files = kernel && {
    kernel: paths.kernel,
    initrd: kernel.initrds.length === 0 ? null : paths.initrd,
  };
  return { ...seen, definition: await driver.complete({ ...seen.definition, ...files }, context) };
}

/**
 * Changes what has to change in the restored disks, or at their boot. Returns the definition to boot. Throws as
 * `makeAdaptation`; what was restored stays, and none of the files that were made.
 * @param paths files that may be made
 */
export async function adaptRestored(
  guest: RestoredGuest,
  request: ConversionRequest,
  paths: BootFilePaths,
  context: Context,
): Promise<GuestDefinition> {
  const { restored } = guest;
  const isSeen = guest.there.guestKernel === null;
  const there = isSeen ? guest.there : await withGuestKernel(guest, request, paths, context);
  const system = await lookInside(restored, request, {}, context);
  const fixups = planFixups(restored, there, request, system);
  for (const message of fixups?.warnings ?? [])
    context.report({ type: 'warning', code: 'guest-not-adapted', message });
  if (fixups !== null) tellOfConversion({ changes: fixups.changes, losses: [] }, context.report);
  const definition = { ...there.definition, ...(fixups && { commandLine: fixups.commandLine }) };
  const bootFiles = bootFilesThere(there);
  if (fixups === null && bootFiles === null) return definition;
  const index = system === null ? null : (there.newDiskIndexes[system.root.diskIndex] ?? null);
  const disk = index === null ? undefined : definition.disks[index];
  const edits = system === null || disk === undefined ? [] : (fixups?.edits ?? []);
  const work = {
    definition,
    root:
      edits.length > 0 && system !== null && disk !== undefined
        ? { path: disk.path, offset: system.root.offset }
        : null,
    edits,
    bootArchive: fixups?.bootArchive ?? null,
    bootFiles,
  };
  return runStage(
    context,
    'adapt',
    `adapting ${definition.name} to ${definition.driver}`,
    () => adaptWhole(work, paths, context),
    () => `${definition.name} is adapted to ${definition.driver}`,
  );
}

/** Nothing had these names: after a failure, whatever has them is of no use. */
async function adaptWhole(
  work: AdaptationWork,
  paths: BootFilePaths,
  context: Context,
): Promise<GuestDefinition> {
  try {
    return await makeAdaptation(work, paths, context);
  } catch (error) {
    for (const path of Object.values(paths)) await rm(path, { force: true });
    throw error;
  }
}
