import type { Context } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import type { BootFilePaths } from '../../guest/boot-menu/take-boot-files.ts';
import type { HypervisorKind } from '../../guest/definition-language.ts';
import type { GuestDefinition } from '../../guest/definition.ts';
import { knownDefinitions, type GuestSources } from '../../guest/known-definitions.ts';
import { checkGuestHere } from '../../guest/preflight/check-guest-here.ts';
import type { KernelNeeds } from '../../guest/preflight/check-kernel.ts';
import type { TargetDevice } from '../../image/target/target-device.ts';
import { here, placed } from '../../placed-text.ts';
import { fileIdentity } from '../../system/file-identity.ts';
import { runningKernelId } from '../../system/machine.ts';
import { workingHypervisors } from './working-hypervisors.ts';
import { checkPlaces, type PlacesRequest } from './check-places.ts';

export interface CheckRequest extends PlacesRequest {
  /** The guest to boot, its disks at their places here; null when none is to be booted. */
  guest: GuestDefinition | null;
  /** See `runningKernelId`: of the machine that the guest comes from. */
  sourceKernel?: string;
  /** Anybody may have written the guest's definition. */
  isForeign?: true;
  needs?: KernelNeeds;
  /** The guest's kernel is taken out of its own disk when that is here. */
  guestKernel?: { hasInitrd: boolean };
}

interface CheckPlaces {
  spoolParent: string;
  /** New files to boot this guest: nothing has their names. */
  bootFilesOf: (guest: string) => BootFilePaths;
}

export interface CheckedTarget {
  problems: Failure[];
  freeBytes: number;
  /** The guest with what its definition leaves to this machine; null if nothing is to be booted, or nothing could. */
  completed: GuestDefinition | null;
  /** If the guest's hypervisor is missing: those that work. */
  hypervisors: HypervisorKind[];
  devices: { path: string; sizeBytes: number; holds: string[] }[];
}

/** Finds everything that keeps this machine from receiving the guest. Changes nothing, but makes the directory of the records. */
export async function checkTarget(
  request: CheckRequest,
  { spoolParent, bootFilesOf, ...sources }: GuestSources & CheckPlaces,
  context: Context,
): Promise<CheckedTarget> {
  const { overwrite, needs, besides, guestKernel } = request;
  const made = request.guest !== null && guestKernel ? bootFilesOf(request.guest.name) : null;
  const guest =
    request.guest && made ? withKernel(request.guest, guestKernel?.hasInitrd === true, made) : request.guest;
  const { problems, freeBytes, devices } = await checkPlaces(request, spoolParent);
  if (!overwrite) problems.push(...(await findOwners(devices, guest, sources, context)));
  const isFromHere = request.sourceKernel !== undefined && request.sourceKernel === runningKernelId();
  const coming = guest && {
    definition: guest,
    isFromHere,
    mayOverwrite: overwrite,
    isForeign: request.isForeign ?? false,
    // Those of a kernel of this machine.
    ...(needs && made === null && { needs }),
    ...(made !== null && { files: Object.values(made) }),
    ...(besides && { besidesBytes: besides.memoryBytes }),
  };
  if (guest !== null) problems.push(...(await findRecordsProblem(sources)));
  const found = coming === null ? [] : await checkGuestHere(coming, sources, problems, context);
  problems.push(...found);
  const isMissing = found.some(({ code }) => code === 'hypervisor-missing');
  const driver = sources.drivers.find(({ kind }) => kind === guest?.driver);
  // What is to be told of it was told by the check.
  const quiet = { ...context, report: () => undefined };
  return {
    problems,
    freeBytes,
    completed: guest === null || driver === undefined ? null : await driver.complete(guest, quiet),
    hypervisors: guest !== null && isMissing ? await workingHypervisors(guest, sources.drivers, context) : [],
    devices: devices.map(({ place: { path, sizeBytes }, holds }) => ({ path, sizeBytes, holds: [...holds] })),
  };
}

/** The guest is remembered here before it boots: without room for that it would be noticed only when it is down there. */
async function findRecordsProblem({ records }: GuestSources): Promise<readonly Failure[]> {
  try {
    await records.requireWritable();
    return [];
  } catch (error) {
    return asFailure(error).all;
  }
}

/** With the files that are made when its disks are here. */
function withKernel(
  guest: GuestDefinition,
  hasInitrd: boolean,
  { kernel, initrd }: BootFilePaths,
): GuestDefinition {
  return { ...guest, kernel, initrd: hasInitrd ? initrd : null };
}

/** A device whose content is not recognised may still be the disk of a guest that is down. */
async function findOwners(
  devices: readonly TargetDevice[],
  guest: GuestDefinition | null,
  sources: GuestSources,
  context: Context,
): Promise<Failure[]> {
  const problems: Failure[] = [];
  const known = devices.length === 0 ? [] : await knownDefinitions(sources, context);
  for (const { place } of devices) {
    const device = await fileIdentity(place.path);
    for (const { name, disks } of known) {
      const there = await Promise.all(disks.map(({ path }) => fileIdentity(path)));
      if (name === guest?.name || device === null || !there.includes(device)) continue;
      problems.push(
        new Failure('target-exists', placed`${place.path} ${here} is a disk of the guest ${name}.`, {
          advice:
            'Name another device. If that guest is no longer needed, add --overwrite: its disk is then lost.',
        }),
      );
    }
  }
  return problems;
}
