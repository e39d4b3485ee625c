import { existsSync, readFileSync } from 'node:fs';
import { Failure } from '../../../failure.ts';
import { command, here, placed, vmferry } from '../../../placed-text.ts';
import { run } from '../../../system/processes.ts';
import type { GuestDefinition, NetworkCard } from '../../definition.ts';
import type { HugePages } from '../../guest-driver.ts';
import { qemuCommand } from './arguments/command.ts';
import { hugePagesOfArguments } from './launch/huge-pages.ts';
import { missingFiles } from './launch/named-files.ts';
import type { QemuCommand } from './arguments/replace.ts';
import { findQemuGuests } from './find.ts';
import type { QemuHost } from './launch/host.ts';
import { findProgram } from './launch/program.ts';
import { withAgentSocket } from './running/own-sockets.ts';

export interface Bootability {
  /** Null when the program is missing, or the definition cannot be given to it. */
  command: QemuCommand | null;
  /** Everything that keeps the guest from being booted here. */
  problems: Failure[];
}

/**
 * Checks without starting anything but `qemu -machine help`.
 * @param isTrusted as in `findProgram`
 * @param coming see `GuestDriver.checkBootable`
 */
export async function checkQemu(
  definition: GuestDefinition,
  host: QemuHost,
  signal: AbortSignal,
  isTrusted = true,
  coming: readonly string[] = [],
): Promise<Bootability> {
  const wanted = wantedCommand(definition);
  if (wanted instanceof Failure)
    return { command: null, problems: [wanted, ...sharedNames(definition, host)] };
  const program = findProgram(wanted.program, host, isTrusted);
  const problems = [
    ...(program === null ? [programMissing(wanted.program)] : []),
    ...missingFilesOf(definition, coming),
    // The directory of an agent's socket is made for each start.
    ...missingFiles(withAgentSocket(wanted.args, '/agent')),
    ...sharedNames(definition, host),
    ...(definition.networkCards ?? []).flatMap(cardProblems),
    ...memoryProblems(definition, host),
    ...(program === null ? [] : await unknownModels(program, definition, host, signal)),
  ];
  return { command: program === null ? null : { program, args: wanted.args }, problems };
}

function wantedCommand(definition: GuestDefinition): QemuCommand | Failure {
  try {
    return qemuCommand(definition);
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

/** Null for a guest with ordinary memory, and for one that QEMU cannot be given. */
export function hugePagesOfGuest(definition: GuestDefinition): HugePages | null {
  const wanted = wantedCommand(definition);
  return wanted instanceof Failure ? null : hugePagesOfArguments(wanted.args);
}

function programMissing(program: string): Failure {
  return new Failure('hypervisor-missing', placed`QEMU is not installed ${here}: there is no ${program}.`, {
    advice: placed`On Debian: \`${command('apt-get', 'install', 'qemu-system-x86')}\`.`,
  });
}

function missingFilesOf(
  { name, boot = 'kernel', kernel, initrd, firmware, drives = [] }: GuestDefinition,
  coming: readonly string[],
): Failure[] {
  const files: [string, string][] = [];
  if (boot === 'kernel') {
    if (kernel !== null) files.push(['kernel', kernel]);
    if (initrd !== null) files.push(['initial RAM disk', initrd]);
  }
  if (firmware?.kind === 'uefi' && firmware.code !== null) files.push(['firmware', firmware.code]);
  for (const { path } of drives) if (path !== null) files.push(['medium', path]);
  const problems = files
    .filter(([, path]) => !coming.includes(path) && !existsSync(path))
    .map(
      ([what, path]) =>
        new Failure('hypervisor-missing', placed`The guest’s ${what} ${path} is not ${here}.`, {
          advice: missingFileAdvice(what),
        }),
    );
  if (boot === 'kernel' && kernel === null)
    problems.push(
      new Failure('hypervisor-missing', placed`There is no kernel for ${name} ${here}: /boot has none.`, {
        advice: placed`Name one with --kernel (--kernel guest: the one on the guest's own disk), or install one. On Debian: \`${command('apt-get', 'install', 'linux-image-amd64')}\`.`,
      }),
    );
  if (firmware?.kind === 'uefi' && firmware.code === null)
    problems.push(
      new Failure('hypervisor-missing', placed`There is no UEFI firmware ${here}.`, {
        advice: placed`On Debian: \`${command('apt-get', 'install', 'ovmf')}\`.`,
      }),
    );
  return problems;
}

function missingFileAdvice(what: string): string {
  const own = what === 'kernel' ? ' (--kernel guest: the one on the guest’s own disk)' : '';
  return `Copy it from the machine that the guest ran on, to the same path, or name another one${own}.`;
}

/** What only one guest of a machine can have. Cards on QEMU's own network never meet. */
function sharedNames(definition: GuestDefinition, host: QemuHost): Failure[] {
  const { name } = definition;
  const running = findQemuGuests(host);
  if (running.some((guest) => guest.definition.name === name))
    return [
      new Failure('guest-already-running', placed`A guest named ${name} runs ${here} already.`, {
        advice: placed`Halt that one, with \`${vmferry('halt', name)}\`, or start this one under another name.`,
      }),
    ];
  const addresses = ({ networkCards = [] }: GuestDefinition): string[] =>
    networkCards.flatMap(({ mac, attachedTo }) =>
      attachedTo.kind === 'user' || mac === undefined ? [] : [mac],
    );
  const problems: Failure[] = [];
  for (const { definition: other } of running) {
    if (definition.uuid !== undefined && definition.uuid === other.uuid)
      problems.push(taken(`The UUID ${definition.uuid}`, other.name, '`uuid`'));
    for (const mac of addresses(definition).filter((one) => addresses(other).includes(one)))
      problems.push(taken(`The MAC address ${mac}`, other.name, '`mac`'));
    for (const { path } of definition.disks.filter((disk) => isWritten(disk.path, other)))
      problems.push(
        new Failure('image-in-use', placed`The disk ${path} belongs to ${other.name}, which runs ${here}.`, {
          advice: 'Give this guest another disk.',
        }),
      );
  }
  return problems;
}

function isWritten(path: string, { disks }: GuestDefinition): boolean {
  return disks.some((disk) => disk.path === path && !disk.readOnly);
}

function taken(what: string, other: string, field: string): Failure {
  return new Failure('guest-unsupported', placed`${what} belongs to ${other}, which runs ${here}.`, {
    advice: `Halt that guest, or change ${field} in the definition of this one.`,
  });
}

/** Where Debian has the lists of bridges that qemu-bridge-helper may use. */
const bridgeLists = ['/etc/qemu/bridge.conf', '/usr/local/etc/qemu/bridge.conf', '/etc/qemu-kvm/bridge.conf'];

function cardProblems({ attachedTo }: NetworkCard): Failure[] {
  if (attachedTo.kind !== 'bridge') return [];
  const { name } = attachedTo;
  if (!existsSync(`/sys/class/net/${name}/bridge`))
    return [
      new Failure('hypervisor-missing', placed`The bridge ${name} is not ${here}.`, {
        advice: placed`Make it: \`${command('ip', 'link', 'add', name, 'type', 'bridge')}\`, or attach the guest’s card to another one.`,
      }),
    ];
  const lists = bridgeLists.map(textOf).join('\n');
  const allowed = new RegExp(
    String.raw`^\s*(?:include\s|allow\s+(?:all|${name.replaceAll(/[.+]/g, String.raw`\$&`)})\s*$)`,
    'm',
  );
  if (allowed.test(lists)) return [];
  return [
    new Failure('not-permitted', placed`QEMU may not attach guests to the bridge ${name} ${here}.`, {
      advice: `Add the line \`allow ${name}\` to ${bridgeLists[0]}.`,
    }),
  ];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function memoryProblems(definition: GuestDefinition, host: QemuHost): Failure[] {
  const { name, memoryBytes } = definition;
  const kibibytes = Number(/^MemAvailable: +(\d+) kB$/m.exec(textOf('/proc/meminfo'))?.[1] ?? NaN);
  if (memoryBytes === null || !(kibibytes * 1024 < memoryBytes)) return [];
  if (hugePagesOfGuest(definition) !== null) return [];
  // The guest itself has it now.
  if (findQemuGuests(host).some((guest) => guest.definition.name === name)) return [];
  const mebibytes = (bytes: number): number => Math.floor(bytes / 2 ** 20);
  return [
    new Failure(
      'resources-short',
      placed`${name} needs ${mebibytes(memoryBytes)} MiB of memory, and ${mebibytes(kibibytes * 1024)} MiB are free ${here}.`,
      { advice: 'Halt something else, or give the guest less memory.' },
    ),
  ];
}

async function unknownModels(
  program: string,
  { machineType, cpuModel }: GuestDefinition,
  { environment }: QemuHost,
  signal: AbortSignal,
): Promise<Failure[]> {
  const problems: Failure[] = [];
  const listed = async (option: string): Promise<string> =>
    (await run(program, [option, 'help'], { env: environment, signal, timeoutMs: 20_000 })).stdout;
  if (machineType !== undefined) {
    const machines = (await listed('-machine')).split('\n').map((line) => line.split(/\s/)[0]);
    if (!machines.includes(machineType)) problems.push(notKnown(program, 'machine type', machineType));
  }
  // `host` needs KVM, and is replaced without it.
  if (cpuModel !== undefined && cpuModel !== 'host') {
    const models = await listed('-cpu');
    const words = new Set(models.split('\n').flatMap((line) => line.trim().split(/\s+/).slice(0, 2)));
    if (!words.has(cpuModel)) problems.push(notKnown(program, 'processor', cpuModel));
  }
  return problems;
}

function notKnown(program: string, what: string, value: string): Failure {
  return new Failure('hypervisor-missing', placed`${program} ${here} does not know the ${what} ${value}.`, {
    advice: placed`\`${command(program, what === 'processor' ? '-cpu' : '-machine', 'help')}\` lists those that it knows. Install a later QEMU, or change the definition.`,
  });
}
