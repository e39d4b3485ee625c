import { basename } from 'node:path';
import type { Failure } from '../../../../failure.ts';
import { isGuestName, type GuestDefinition, type NetworkCard } from '../../../definition.ts';
import { absoluteArguments } from './absolute-paths.ts';
import { readStorage, type FoundStorage } from './disks.ts';
import { readMachine } from './machine.ts';
import { readNetwork, type FoundCard } from './network.ts';
import { notUnderstood, readOptions, refused, type QemuOption } from './option-list.ts';
import { noteOthers } from './other-options.ts';
import { Reading } from './reading.ts';
import { isJson, parseSettings } from './settings.ts';

/** How a QEMU was started. */
export interface QemuInvocation {
  /** All arguments; the first is the program: its absolute path, or a name to be found on the PATH. */
  argv: readonly string[];
  /** Makes a path absolute; null when it cannot be known where it starts. */
  resolve: (path: string) => string | null;
  /** The name of a guest that was given none, and whose disk has none that can be used. */
  fallbackName: string;
}

export interface QemuReading {
  definition: GuestDefinition;
  /** What stands in the way of moving the guest. Empty: the definition is complete. */
  problems: readonly Failure[];
  options: readonly QemuOption[];
  storage: FoundStorage;
  cards: readonly FoundCard[];
}

/** The definition of the guest that these arguments start. Syntax: qemu(1), and the manuals of older versions. */
export function readQemuArguments({ argv, resolve, fallbackName }: QemuInvocation): QemuReading {
  const [program = '', ...args] = argv;
  const list = readOptions(args);
  const unresolved = new Set<string>();
  const options = list.options.filter(isParsable);
  const reading = new Reading(options, (path) => {
    const found = resolve(path);
    if (found === null) unresolved.add(path);
    return found;
  });
  for (const problem of list.problems) reading.noteProblem(problem);
  for (const option of list.options.filter((one) => !isParsable(one)))
    reading.noteProblem(refused(option, 'it is not valid JSON'));
  refuseWhole(reading);
  const machine = readMachine(reading, basename(program));
  const storage = readStorage(reading, machine.storage);
  const cards = readNetwork(reading, machine.network);
  noteOthers(reading);
  for (const path of unresolved)
    reading.noteProblem(
      notUnderstood(
        options.find(({ value }) => value.includes(path))?.place ?? 0,
        path,
        'the path is relative, and it is not known to which directory',
        'Start the guest with absolute paths.',
      ),
    );
  const { name, problem } = readName(reading, storage, fallbackName);
  if (problem !== null) reading.noteProblem(problem);
  const native = {
    text: JSON.stringify([program, ...absoluteArguments(args, reading, storage)]),
    beyond: reading.beyond,
  };
  const definition: GuestDefinition = {
    name,
    driver: 'qemu',
    memoryBytes: machine.memoryBytes,
    cpuCount: machine.cpuCount,
    kernel: machine.kernel,
    initrd: machine.initrd,
    disks: storage.disks.map((disk) => disk.definition),
    commandLine: machine.commandLine,
    ...bootOf(machine.kernel, storage, machine.uefiCode),
    ...(storage.drives.length === 0 ? {} : { drives: storage.drives.map((drive) => drive.definition) }),
    ...(cards.length === 0 ? {} : { networkCards: cards.map((card): NetworkCard => card.definition) }),
    ...machine.optional,
    native,
  };
  return { definition, problems: reading.problems, options, storage, cards };
}

function isParsable({ value }: QemuOption): boolean {
  if (!isJson(value)) return true;
  try {
    parseSettings(value);
    return true;
  } catch {
    return false;
  }
}

/** What cannot be carried at all. */
function refuseWhole(reading: Reading): void {
  const reasons: Readonly<Record<string, readonly [string, string]>> = {
    readconfig: [
      'the guest’s devices are in a file that vmferry does not read',
      'Write what the file says as arguments, and start the guest with them.',
    ],
    loadvm: [
      'it starts from a saved state, which belongs to this machine and these disks',
      'Start the guest without it.',
    ],
    incoming: ['the guest waits for its state from another machine', 'Start the guest without it.'],
    snapshot: [
      'the guest’s changes are only in a temporary file, and are lost with it',
      'Start the guest without it.',
    ],
    'xen-domid': ['it belongs to a domain of Xen', 'Move the domain.'],
  };
  for (const option of reading.options) {
    const found = reasons[option.name];
    if (found !== undefined) reading.noteProblem(refused(option, found[0], found[1]));
  }
}

/** `-name web`, `-name guest=web,debug-threads=on`; else the name of the first disk's file. */
function readName(
  reading: Reading,
  { disks }: FoundStorage,
  fallbackName: string,
): { name: string; problem: Failure | null } {
  const option = reading.last('name');
  const given = option === undefined ? undefined : parseSettings(option.value, 'guest').get('guest');
  if (given !== undefined && isGuestName(given)) return { name: given, problem: null };
  const ofDisk = basename(disks[0]?.definition.path ?? '').replace(/\.[^.]*$/, '');
  const name = isGuestName(ofDisk) ? ofDisk : fallbackName;
  if (option === undefined || given === undefined) return { name, problem: null };
  return { name, problem: refused(option, 'vmferry cannot use this name', 'Give the guest a plain name.') };
}

function bootOf(
  kernel: string | null,
  { firmwareCode }: FoundStorage,
  uefiCode: string | null,
): Pick<GuestDefinition, 'boot' | 'firmware'> {
  const code = firmwareCode?.path ?? uefiCode;
  const boot = kernel === null ? ({ boot: 'firmware' } as const) : {};
  if (code !== null) return { ...boot, firmware: { kind: 'uefi', code } };
  return kernel === null ? { ...boot, firmware: { kind: 'bios' } } : {};
}
