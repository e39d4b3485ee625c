import { diskFate, type DiskChanges } from './disk-names.ts';

export interface CommandLineChanges {
  disks: DiskChanges;
  /** The kernel's console on the new side; undefined: as before. */
  console: string | undefined;
  /** The kernel's console on the old side. */
  oldConsole: string | undefined;
}

/** A device on the command line by its number, as `root=98:0` or `root=6200`: of User Mode Linux's first disk. */
const firstUmlDisk = /^root=(?:98:0|0?6200|0x6200)$/i;

/**
 * The kernel's command line for the new hypervisor: `root=` and `resume=` by the new names of disks, and the new console.
 * All else stays. A line that is right already is returned as it is.
 */
export function adaptCommandLine(
  commandLine: readonly string[],
  { disks, console, oldConsole }: CommandLineChanges,
): string[] {
  const [firstDisk] = disks.present;
  const adapted = commandLine.flatMap((argument) => {
    if (firstUmlDisk.test(argument) && firstDisk !== undefined) return [`root=/dev/${firstDisk}`];
    const [, option, name] = /^(root=|resume=)\/dev\/(.+)$/.exec(argument) ?? [];
    if (option !== undefined && name !== undefined) {
      const fate = diskFate(name, disks);
      return fate.kind === 'renamed' ? [`${option}/dev/${fate.name}`] : [argument];
    }
    return isOldConsole(argument, console, oldConsole) ? [] : [argument];
  });
  if (!adapted.some((argument) => argument.startsWith('root=')) && firstDisk !== undefined)
    adapted.unshift(`root=/dev/${firstDisk}`);
  if (console !== undefined && !adapted.some((argument) => consoleOf(argument) === console))
    adapted.push(`console=${console}`);
  return adapted;
}

function consoleOf(argument: string): string | undefined {
  return /^console=([^,]+)/.exec(argument)?.[1];
}

function isOldConsole(
  argument: string,
  console: string | undefined,
  oldConsole: string | undefined,
): boolean {
  const named = consoleOf(argument);
  return console !== undefined && named !== undefined && named !== console && named === oldConsole;
}
