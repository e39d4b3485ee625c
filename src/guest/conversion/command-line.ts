import { diskFate, type DiskChanges } from '../adaptation/disk-names.ts';
import type { GuestDefinition } from '../definition.ts';
import type { Ledger } from './ledger.ts';
import { umlDiskByNumber } from './root-device.ts';

type Console = NonNullable<GuestDefinition['console']>;

/** The arguments with the names that disks have now: `root=/dev/ubda`, `resume=/dev/vda2`. */
export function renameDevices(commandLine: readonly string[], disks: DiskChanges, ledger: Ledger): string[] {
  return commandLine.map((argument) => {
    const [, key, given] = /^([\w.-]+=)\/dev\/([\w/]+)$/.exec(argument) ?? [];
    const name = given ?? umlDiskByNumber(argument);
    if (name === null) {
      if (/^root=(?:(?:0x)?[0-9a-f]{3,}|\d+:\d+)$/i.test(argument))
        ledger.losses.push(`${argument} names a device by its number, which may be another one there.`);
      return argument;
    }
    const fate = diskFate(name, disks);
    if (fate.kind === 'absent') ledger.losses.push(`${argument} names a disk that is not there.`);
    if (fate.kind !== 'renamed') return argument;
    const renamed = `${key ?? 'root='}/dev/${fate.name}`;
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
  return commandLine.flatMap((one, index) => {
    if (index === last) return [`console=${wanted}`];
    return one === `console=${wanted}` ? [] : [one];
  });
}
