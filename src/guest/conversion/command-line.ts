import type { GuestDefinition } from '../definition.ts';
import { guestNames, partitionOf } from './disk-names.ts';
import type { ConvertedDisks } from './disks.ts';
import type { Ledger } from './ledger.ts';

type Console = NonNullable<GuestDefinition['console']>;

/**
 * The new name, less `/dev/`, of a disk or partition that the guest's kernel knew as `name`. The name itself if it stays or is
 * unknown, null if its disk stays behind.
 */
export function renamedDevice(
  name: string,
  before: GuestDefinition['disks'],
  after: ConvertedDisks,
): string | null {
  for (const [index, disk] of before.entries())
    for (const old of guestNames(disk)) {
      const partition = name === old ? '' : partitionOf(old, name);
      if (partition === null) continue;
      const now = after[index];
      return now ? `${guestNames(now)[0]}${partition}` : null;
    }
  return name;
}

/** The arguments with the names that disks have now: `root=/dev/ubda`, `resume=/dev/vda2`. */
export function renameDevices(
  commandLine: readonly string[],
  before: GuestDefinition['disks'],
  after: ConvertedDisks,
  ledger: Ledger,
): string[] {
  return commandLine.map((argument) => {
    const [, key, name] = /^([\w.-]+=)\/dev\/([\w/]+)$/.exec(argument) ?? [];
    if (key === undefined || name === undefined) {
      if (/^root=(?:[0-9a-f]{3,}$|\d+:\d+)/i.test(argument))
        ledger.losses.push(`${argument} names a device by its number, which may be another one there.`);
      return argument;
    }
    const now = renamedDevice(name, before, after);
    if (now === name) return argument;
    if (now === null) {
      ledger.losses.push(`${argument} names a disk that stays behind.`);
      return argument;
    }
    const renamed = `${key}/dev/${now}`;
    ledger.changes.push(`${argument} becomes ${renamed}.`);
    return renamed;
  });
}

/**
 * Has the kernel write to the console that the guest will have. The last `console=` is the one that the first program
 * gets; the others stay. Baud rates go with the serial line that they are for.
 */
export function renameConsole(
  commandLine: readonly string[],
  wanted: Console,
  isAdded: boolean,
  ledger: Ledger,
): string[] {
  const last = commandLine.findLastIndex((argument) =>
    /^console=(?:tty\d*|ttyS\d+|hvc\d+|xvc\d+)(?:,|$)/.test(argument),
  );
  const argument = commandLine[last];
  if (argument === undefined) {
    if (!isAdded) return [...commandLine];
    ledger.changes.push(`console=${wanted} is added: the guest's console is there.`);
    return [...commandLine, `console=${wanted}`];
  }
  const [, had] = /^console=(\w+)/.exec(argument) ?? [];
  if (had === wanted) return [...commandLine];
  ledger.changes.push(`${argument} becomes console=${wanted}.`);
  const rest = commandLine.filter((one, index) => index !== last && one !== `console=${wanted}`);
  return [...rest.slice(0, last), `console=${wanted}`, ...rest.slice(last)];
}
