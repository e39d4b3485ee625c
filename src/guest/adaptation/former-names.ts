import { startsBootWork } from './boot-archive.ts';
import { diskFate, type DiskChanges, type DiskRename } from './disk-names.ts';

/**
 * Keeps in the guest's definition what its disks are called by the work at boot, because its files still have these names at its
 * next move. Kernels pass over it: it looks like a setting of a module that is not there.
 */
const former = 'vmferry.former=';

/** `vmferry.former=ubda:vda` for a disk `vda` that can also be used as `ubda`. */
export function formerNames(disks: readonly DiskRename[]): string {
  return former + disks.map(({ from, to }) => `${from}:${to}`).join(',');
}

/** Whether disks or network cards of the guest have names that the work at its boot gives them. */
export function hasBootWork(commandLine: readonly string[]): boolean {
  return commandLine.includes(startsBootWork);
}

/** The arguments without those of an earlier work at boot. Another initial RAM disk does not have it. */
export function withoutBootWork(commandLine: readonly string[]): string[] {
  return commandLine.filter((argument) => argument !== startsBootWork && !argument.startsWith(former));
}

/** Adds what becomes of the names that an earlier work at boot gave to disks. Names that disks have by themselves come first. */
export function withFormerNames(disks: DiskChanges, commandLine: readonly string[]): DiskChanges {
  const renames = commandLine
    .filter((argument) => argument.startsWith(former))
    .flatMap((argument) => argument.slice(former.length).split(','))
    .flatMap((pair) => {
      const [, from, name] = /^([A-Za-z0-9/]+):([A-Za-z0-9/]+)$/.exec(pair) ?? [];
      if (from === undefined || name === undefined) return [];
      const fate = diskFate(name, disks);
      const to = fate.kind === 'renamed' ? fate.name : name;
      return fate.kind === 'absent' || from === to ? [] : [{ from, to }];
    });
  return { ...disks, renames: [...disks.renames, ...renames] };
}
