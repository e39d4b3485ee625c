import { startsBootWork } from '../../../guest/adaptation/boot-archive.ts';
import type { Event } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import type { GuestKernel } from '../../../guest/boot-menu/guest-kernel.ts';
import { parseAttachedTo, type ConversionChoices } from '../../../guest/conversion/choices.ts';
import { convertDefinition } from '../../../guest/conversion/convert.ts';
import type { HypervisorKind } from '../../../guest/definition-language.ts';
import { isImageOnly, type GuestDefinition } from '../../../guest/definition.ts';
import { bootableBuses } from '../../../guest/inspection/disk-buses.ts';
import type { GuestSystem } from '../../../guest/inspection/guest-system.ts';

/** As `--kernel`: not a file of the new machine, but the kernel on the guest's own disk. */
export const GUEST_KERNEL = 'guest';

/** What a person chose for the guest on the new machine: `--as`, `--kernel`, … */
export interface ConversionRequest {
  /** Null: the guest's own hypervisor. */
  as: HypervisorKind | null;
  /** Absolute, on the new machine; `guest`: the guest's own (`GUEST_KERNEL`); null: as before, or the machine's own. */
  kernel: string | null;
  initrd: string | null;
  /** `eth0` or a MAC, and what `parseAttachedTo` reads. */
  networks: readonly { card: string; attachedTo: string }[];
  /** Whether what has to change in the guest is changed, on the copy or at boot. */
  fixups: boolean;
}

/** Nothing chosen: the guest stays as it is. */
export const noConversion: ConversionRequest = {
  as: null,
  kernel: null,
  initrd: null,
  networks: [],
  fixups: true,
};

/** The guest as it is to run on the new machine. */
export interface GuestThere {
  definition: GuestDefinition;
  /** For each disk here, its index in the definition there; null for a disk that stays behind. */
  newDiskIndexes: readonly (number | null)[];
  /** Full sentences. */
  changes: readonly string[];
  losses: readonly string[];
  /** Taken out of the guest's disk when that is there; null if the definition names the files that boot it. */
  guestKernel: GuestKernel | 'not-seen' | null;
}

/** The guest's own kernel, if it is to boot that one and somebody has looked at it. */
export function seenKernel({ guestKernel }: Pick<GuestThere, 'guestKernel'>): GuestKernel | null {
  return guestKernel === 'not-seen' ? null : guestKernel;
}

/** Whether the guest gets another hypervisor, kernel, initial RAM disk or network. */
export function isConversion(
  { as, kernel, initrd, networks }: ConversionRequest,
  { driver }: Pick<GuestDefinition, 'driver'>,
): boolean {
  return (as !== null && as !== driver) || kernel !== null || initrd !== null || networks.length > 0;
}

/**
 * Converts the guest. Throws Failure `usage` for a choice that does not fit the guest, and `guest-unsupported` if its own kernel does not find
 * its disk.
 * @param relocated the definition with its disks at their new places, and in their new formats
 * @param guestKernel see `findWantedKernel`
 */
export function guestThere(
  definition: GuestDefinition,
  relocated: GuestDefinition,
  request: ConversionRequest,
  system: GuestSystem | null,
  guestKernel: GuestKernel | 'not-seen' | null = null,
): GuestThere {
  if (!isConversion(request, definition))
    return {
      definition: relocated,
      newDiskIndexes: definition.disks.map((_, index) => index),
      changes: [],
      losses: [],
      guestKernel: null,
    };
  refuseConversionOfImage(definition);
  requireDriverOfKeptDisk(definition, request, system, guestKernel);
  const choices = choicesOf(definition, relocated, request, system, guestKernel);
  const converted = convertDefinition(definition, { driver: kindOf(definition, request), choices });
  const { disks } = converted.definition;
  const newDiskIndexes = converted.disks.map((disk) => {
    const index = disk === null ? -1 : disks.indexOf(disk);
    return index === -1 ? null : index;
  });
  const { initrd, commandLine } = converted.definition;
  // Work at boot is in the initial RAM disk that it was added to.
  const kept =
    initrd === definition.initrd && guestKernel === null
      ? commandLine
      : commandLine.filter((argument) => argument !== startsBootWork);
  return {
    ...converted,
    definition: { ...converted.definition, commandLine: kept },
    newDiskIndexes,
    guestKernel,
  };
}

/** Throws Failure `usage` for an image that no guest uses. */
export function refuseConversionOfImage({ name, driver }: Pick<GuestDefinition, 'name' | 'driver'>): void {
  if (isImageOnly({ driver }))
    throw new Failure('usage', `${name} is an image that no guest uses: it has no hypervisor.`, {
      advice: 'Omit --as, --kernel, --initrd and --network.',
    });
}

/** With its hypervisor, a guest keeps the buses of its disks, whatever kernel it gets. */
function requireDriverOfKeptDisk(
  definition: GuestDefinition,
  request: ConversionRequest,
  system: GuestSystem | null,
  guestKernel: GuestThere['guestKernel'],
): void {
  const seen = seenKernel({ guestKernel });
  if (seen === null || kindOf(definition, request) !== definition.driver) return;
  const { place, buses, version } = seen;
  const { device, bus } = definition.disks[system?.root.diskIndex ?? place.diskIndex] ?? {};
  if (buses === null || device === undefined || bus === undefined || buses.includes(bus)) return;
  throw new Failure(
    'guest-unsupported',
    `The kernel ${version} of ${definition.name} has no driver for its disk ${device} (${bus}), neither in itself nor in its initial RAM disk.`,
    {
      advice: `Name a kernel of the new machine: --kernel FILE --initrd FILE. Or attach that disk by ${buses.filter((one) => one !== 'xen').join(' or ')} first.`,
    },
  );
}

function kindOf({ driver }: GuestDefinition, { as }: ConversionRequest): HypervisorKind {
  return as ?? (driver === 'offline' ? 'uml' : driver);
}

function choicesOf(
  definition: GuestDefinition,
  relocated: GuestDefinition,
  request: ConversionRequest,
  system: GuestSystem | null,
  guestKernel: GuestThere['guestKernel'],
): ConversionChoices {
  const { kernel, initrd, networks } = request;
  const disks = relocated.disks.map(
    ({ device, path, format = 'raw' }) => [device, { path, format }] as const,
  );
  const { boot = 'kernel' } = definition;
  const there = kindOf(definition, request);
  const hasLoader = boot === 'boot-loader' ? there === 'xen' : boot === 'firmware' && there !== 'uml';
  // A kernel from the new machine brings its own drivers.
  const bootsItself = hasLoader && kernel === null;
  const seen = seenKernel({ guestKernel });
  const known = bootsItself && system !== null ? bootableBuses(system) : null;
  const buses = guestKernel === null ? known : (seen?.buses ?? null);
  // A kernel without virtio for disks has none for network cards.
  const isOld = seen?.buses?.includes('virtio') === false;
  return {
    disks: new Map(disks),
    networks: new Map(networks.map(({ card, attachedTo }) => [card, parseAttachedTo(attachedTo)])),
    ...(kernel === null || kernel === GUEST_KERNEL ? {} : { kernel }),
    ...(guestKernel === null ? {} : { guestKernel }),
    ...(seen === null || seen.root === null ? {} : { root: seen.root }),
    ...(isOld ? { cardModels: ['e1000', 'rtl8139'] } : {}),
    ...(initrd === null ? {} : { initrd }),
    ...(buses === null ? {} : { buses }),
  };
}

/** Tells of everything that will be different, before anything is touched. */
export function tellOfConversion(
  { changes, losses }: Pick<GuestThere, 'changes' | 'losses'>,
  report: (event: Event) => void,
): void {
  for (const message of changes) report({ type: 'notice', message });
  for (const message of losses) report({ type: 'warning', code: 'setting-lost', message });
}
