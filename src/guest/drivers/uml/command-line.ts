import { resolve } from 'node:path';
import { Failure } from '../../../failure.ts';
import type { DiskDefinition, GuestDefinition } from '../../definition.ts';
import { detachConsoles } from './consoles.ts';

/** How a User Mode Linux guest was started, as /proc shows it. */
export interface UmlInvocation {
  /** Absolute path of the kernel. */
  kernel: string;
  /** All arguments, the program's name first. */
  argv: readonly string[];
  /** The directory that relative paths start from. */
  workingDirectory: string;
}

/** The name that the guest asked for; null when it let the kernel choose. */
export function requestedUmid(argv: readonly string[]): string | null {
  const argument = argv.slice(1).find((one) => one.startsWith('umid='));
  return argument === undefined ? null : argument.slice('umid='.length);
}

/**
 * The definition of the guest that runs as `name`, which is not always the umid that it asked for. The place of its
 * mconsole socket (`uml_dir=`) belongs to this machine and is left out. Syntax: `linux --help`.
 */
export function parseUmlCommandLine(name: string, invocation: UmlInvocation): GuestDefinition {
  const disks = new Map<string, DiskDefinition>();
  const commandLine: string[] = [];
  let memoryBytes: number | null = null;
  let cpuCount: number | null = null;
  let initrd: string | null = null;
  for (const argument of invocation.argv.slice(1).flatMap(splitArgument)) {
    const [, key = '', quoted = ''] = /^([^=]+)=(.+)$/s.exec(argument) ?? [];
    const value = quoted.replaceAll('"', '');
    const slot = /^(ubd(?:\d+|[a-z]))([rscdt]*)$/.exec(key);
    if (slot !== null) {
      const disk = parseDisk(slot[1] ?? '', slot[2] ?? '', value, invocation.workingDirectory);
      // The kernel refuses a second file for the same slot and keeps the first.
      if (!disks.has(disk.device)) disks.set(disk.device, disk);
    } else if (key === 'mem' && parseMemory(value) !== null) memoryBytes = parseMemory(value);
    else if (key === 'ncpus' && /^[1-9]\d{0,4}$/.test(value)) cpuCount = Number(value);
    else if (key === 'initrd') initrd = resolve(invocation.workingDirectory, value);
    else if (key !== 'umid' && key !== 'uml_dir') commandLine.push(argument);
  }
  return {
    name,
    driver: 'uml',
    memoryBytes,
    cpuCount,
    kernel: invocation.kernel,
    initrd,
    disks: [...disks.values()],
    commandLine,
  };
}

/**
 * The kernel joins its arguments with spaces and splits them again at spaces outside double quotes (next_arg() in
 * lib/cmdline.c).
 */
export function splitArgument(argument: string): string[] {
  return argument.match(/(?:"[^"]*"?|[^"\s])+/g) ?? [];
}

/** `FILE`, `COW,BACKING`, `FILE,,SERIAL` or `COW,BACKING,SERIAL`; a colon separates as well as a comma. */
function parseDisk(device: string, letters: string, value: string, workingDirectory: string): DiskDefinition {
  const [file = '', backing = '', serial = ''] = value.split(/[,:]/);
  const flags = letters.replaceAll('r', '');
  return {
    device,
    path: resolve(workingDirectory, file),
    readOnly: letters.includes('r'),
    ...(flags === '' ? {} : { flags }),
    ...(serial === '' ? {} : { serial }),
    ...(backing === '' ? {} : { format: 'cow', backing: resolve(workingDirectory, backing) }),
  };
}

const memoryUnits = ['', 'k', 'm', 'g', 't'];

/** Parses as memparse() in the kernel's lib/cmdline.c does; null for anything but a plain amount. */
function parseMemory(value: string): number | null {
  const [, digits, unit = ''] = /^([1-9]\d*)([kmgt]?)$/i.exec(value) ?? [];
  const bytes = Number(digits) * 1024 ** memoryUnits.indexOf(unit.toLowerCase());
  return Number.isSafeInteger(bytes) ? bytes : null;
}

function formatMemory(bytes: number): string {
  if (bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20}M`;
  if (bytes % 1024 === 0) return `${bytes / 1024}K`;
  return String(bytes);
}

/**
 * The arguments, without the program's name, that boot the guest detached from any terminal (see
 * `detachConsoles`). Throws Failure `guest-unsupported` for a path that the kernel would misread.
 */
export function umlCommandLine(definition: GuestDefinition): string[] {
  const { name, memoryBytes, cpuCount, initrd } = definition;
  return [
    ...definition.disks.map(formatDisk),
    ...(memoryBytes === null ? [] : [`mem=${formatMemory(memoryBytes)}`]),
    `umid=${name}`,
    ...(cpuCount === null ? [] : [`ncpus=${cpuCount}`]),
    ...(initrd === null ? [] : [`initrd=${initrd}`]),
    ...detachConsoles(definition.commandLine),
  ];
}

function formatDisk(disk: DiskDefinition): string {
  const { device, path, readOnly, flags = '', serial = '', backing } = disk;
  const files = [quoted(path), backing === undefined ? '' : quoted(backing), serial];
  const value = files.join(',').replace(/,+$/, '');
  return `${device}${readOnly ? 'r' : ''}${flags}=${value}`;
}

function quoted(path: string): string {
  if (/[,:"\0]/.test(path))
    throw new Failure(
      'guest-unsupported',
      `User Mode Linux cannot use the disk ${path}: its path holds a comma, a colon or a quotation mark.`,
      { advice: 'Rename the file or its directory, or choose another directory.' },
    );
  return /\s/.test(path) ? `"${path}"` : path;
}
