import { Failure } from '../../failure.ts';
import { diskChanges, diskFate, type DiskChanges } from '../adaptation/disk-names.ts';
import type { HypervisorKind } from '../definition-language.ts';
import type { GuestDefinition, NetworkCard } from '../definition.ts';
import { chooseBoot, convertBoot, withRoot, type Boot } from './boot.ts';
import { attachCards, convertCards } from './cards.ts';
import type { ConversionTarget } from './choices.ts';
import { renameConsole, renameDevices } from './command-line.ts';
import { convertDisks, isSameMachine, placeDisks, type ConvertedDisks } from './disks.ts';
import { convertDrives } from './drives.ts';
import { tellOfGuestKernel, tellOfOwnArguments, withMenuArguments } from './guest-kernel.ts';
import type { Ledger } from './ledger.ts';
import { convertConsole, convertSettingsOfGuest } from './settings.ts';
import { isTakenByUml, readUmlArguments, readUmlCard, tapName, umlCardArgument } from './uml-arguments.ts';

export interface Conversion {
  definition: GuestDefinition;
  /** For each disk of the old definition, what it is in the new one; null for a disk that stays behind. */
  disks: ConvertedDisks;
  /** What is different and works the same: full sentences. */
  changes: readonly string[];
  /** What the guest had and will not have: full sentences. */
  losses: readonly string[];
}

/**
 * The definition that the guest has under another hypervisor, or in another place under the same one. Each setting of the guest is
 * in the new definition, or in a sentence of `changes` or `losses`. The rules are in doc/definition.md. Throws Failure
 * `usage` for a choice that does not fit, and `guest-unsupported` for an image that no guest uses.
 */
export function convertDefinition(definition: GuestDefinition, target: ConversionTarget): Conversion {
  const { driver: from } = definition;
  if (from === 'offline')
    throw new Failure('guest-unsupported', `${definition.name} is a disk image: it has no definition.`);
  const ledger: Ledger = { changes: [], losses: [] };
  const placed = placeDisks(definition, target, ledger);
  const converted =
    from === target.driver ? moveWithin(placed, target, ledger) : convertPlaced(placed, from, target, ledger);
  return { ...converted, ...ledger };
}

/** The same hypervisor: only what was chosen changes. */
function moveWithin(
  definition: GuestDefinition,
  target: ConversionTarget,
  ledger: Ledger,
): Pick<Conversion, 'definition' | 'disks'> {
  const { driver, disks } = definition;
  const { kernel = definition.kernel, initrd = definition.initrd, boot } = target.choices;
  if (boot !== undefined && boot !== (definition.boot ?? 'kernel'))
    throw new Failure(
      'usage',
      `The guest stays with ${driver}, and boots from ${definition.boot ?? 'kernel'} as before.`,
    );
  if (kernel !== definition.kernel)
    ledger.changes.push(`The kernel is ${kernel}, instead of ${definition.kernel}.`);
  if (initrd !== definition.initrd)
    ledger.changes.push(`The initial RAM disk is ${initrd}, instead of ${definition.initrd}.`);
  const { guestKernel } = target.choices;
  if (guestKernel !== undefined) {
    for (const path of [definition.kernel, definition.initrd])
      if (path !== null) ledger.changes.push(`${path} is no longer used to boot the guest.`);
    tellOfGuestKernel(guestKernel, ledger);
    tellOfOwnArguments(menuArguments(target), definition.commandLine, true, ledger);
  }
  const moved =
    guestKernel === undefined
      ? { ...definition, kernel, initrd }
      : {
          ...definition,
          kernel: null,
          initrd: null,
          commandLine: withMenuArguments(menuArguments(target), definition.commandLine),
        };
  if ((target.choices.networks?.size ?? 0) === 0) return { definition: moved, disks };
  if (driver !== 'uml') {
    const cards = attachCards(definition.networkCards ?? [], target, ledger).map(({ card }) => card);
    return { definition: { ...moved, networkCards: cards }, disks };
  }
  const read = definition.commandLine.map(readUmlCard);
  const cards = read.flatMap((one) => (one === null ? [] : [one.card]));
  const attached = attachCards(cards, target, ledger);
  let index = 0;
  const commandLine = definition.commandLine.map((argument, place) => {
    if (read[place] === null) return argument;
    const one = attached[index];
    index += 1;
    return one?.isChosen === true ? cardArgument(definition.name, index - 1, one.card, ledger) : argument;
  });
  return { definition: { ...moved, commandLine }, disks };
}

function convertPlaced(
  definition: GuestDefinition,
  from: HypervisorKind,
  target: ConversionTarget,
  ledger: Ledger,
): Pick<Conversion, 'definition' | 'disks'> {
  const { name, memoryBytes, cpuCount, drives = [] } = definition;
  const { driver } = target;
  const own =
    from === 'uml'
      ? readUmlArguments(definition, ledger)
      : { cards: [], commandLine: definition.commandLine };
  const boot = chooseBoot(definition, target, ledger);
  const conversion = { from, target, boot, taken: new Set<string>() };
  const disks = convertDisks(definition, conversion, ledger);
  const keptDrives = convertDrives(drives, conversion, ledger);
  const booted = convertBoot(definition, from, target, boot, ledger);
  const guestConsole = convertConsole(definition, from, driver, boot, ledger);
  const cards = [...(definition.networkCards ?? []), ...own.cards.map(({ card }) => card)];
  const newCards = convertCards(cards, target, booted, ledger);
  const kept = disks.filter((disk) => disk !== null);
  const seen = disks.filter((_, index) => definition.disks[index]?.purpose === undefined);
  const names = diskChanges(
    { ...definition, disks: definition.disks.filter(({ purpose }) => purpose === undefined) },
    { ...definition, ...booted, driver, disks: seen.filter((disk) => disk !== null) },
  );
  const line = { definition, from, target, boot, names };
  const mayBeOfMenu = isSameMachine(from, driver) && from !== 'xen' && from !== 'uml' && boot === 'kernel';
  tellOfOwnArguments(menuArguments(target), own.commandLine, mayBeOfMenu, ledger);
  const given = withMenuArguments(menuArguments(target), own.commandLine);
  const commandLine = convertCommandLine(given, line, ledger);
  const settings = convertSettingsOfGuest(definition, from, driver, ledger);
  for (const beyond of definition.native?.beyond ?? [])
    ledger.losses.push(`${driver} cannot have this: ${beyond}`);
  return {
    definition: {
      name,
      driver,
      memoryBytes,
      cpuCount,
      disks: kept,
      commandLine:
        driver === 'uml' ? [...commandLine, ...cardArguments(name, newCards, ledger)] : commandLine,
      ...booted,
      ...(keptDrives.length === 0 ? {} : { drives: keptDrives }),
      ...(newCards.length === 0 || driver === 'uml' ? {} : { networkCards: newCards }),
      ...(guestConsole === undefined ? {} : { console: guestConsole }),
      ...settings,
    },
    disks,
  };
}

function menuArguments({ choices: { guestKernel } }: ConversionTarget): readonly string[] {
  return typeof guestKernel === 'object' ? guestKernel.arguments : [];
}

interface CommandLineConversion {
  definition: GuestDefinition;
  from: HypervisorKind;
  target: ConversionTarget;
  boot: Boot;
  names: DiskChanges;
}

function convertCommandLine(
  given: readonly string[],
  { definition, from, target: { driver, choices }, boot, names }: CommandLineConversion,
  ledger: Ledger,
): string[] {
  if (boot === 'firmware') {
    for (const argument of given)
      ledger.losses.push(`${argument} is lost: the guest's own boot menu has the arguments of its kernel.`);
    return [];
  }
  const isTaken = (argument: string) => driver === 'uml' && isTakenByUml(argument);
  for (const argument of given.filter(isTaken))
    ledger.losses.push(`${argument} is left out: it means something else to User Mode Linux.`);
  const left = given.filter((argument) => !isTaken(argument));
  const renamed = renameDevices(left, names, ledger);
  if (boot === 'boot-loader') return renamed;
  const hadMenu = (definition.boot ?? 'kernel') !== 'kernel';
  const rooted = hadMenu ? withRoot(renamed, renamedRoot(choices.root, names), ledger) : renamed;
  if (isSameMachine(from, driver)) return rooted;
  const wanted = driver === 'uml' ? 'tty0' : driver === 'xen' ? 'hvc0' : 'ttyS0';
  return renameConsole(rooted, wanted, driver !== 'uml', ledger);
}

function renamedRoot(root: string | undefined, names: DiskChanges): string | undefined {
  if (root?.startsWith('/dev/') !== true) return root;
  const fate = diskFate(root.slice('/dev/'.length), names);
  return fate.kind === 'renamed' ? `/dev/${fate.name}` : root;
}

function cardArguments(guest: string, cards: readonly NetworkCard[], ledger: Ledger): string[] {
  return cards.map((card, index) => cardArgument(guest, index, card, ledger));
}

function cardArgument(guest: string, index: number, card: NetworkCard, ledger: Ledger): string {
  const argument = umlCardArgument(guest, index, card);
  const { attachedTo } = card;
  if (attachedTo.kind === 'user')
    ledger.changes.push(`The network card ${index} is ${argument}, which needs the program slirp.`);
  else if (attachedTo.kind === 'bridge') {
    const tap = tapName(guest, index);
    ledger.changes.push(
      `The network card ${index} is ${argument}. The tap device ${tap} has to be there, as a port of the bridge ${attachedTo.name}.`,
    );
  } else ledger.changes.push(`The network card ${index} is ${argument}.`);
  return argument;
}
