/** The disk or partition that the kernel is told to have its root file system on, without `/dev/`; null for a UUID, a label, or nothing. */
export function rootDevice(commandLine: readonly string[]): string | null {
  const argument = commandLine.findLast((one) => one.startsWith('root='));
  if (argument === undefined) return null;
  return /^root=\/dev\/(.+)$/.exec(argument)?.[1] ?? umlDiskByNumber(argument);
}

/** `ubda1` for `root=98:1`: the major number is User Mode Linux's, and each disk has 16 minor numbers (ubd_kern.c). */
export function umlDiskByNumber(argument: string): string | null {
  const [, decimal, hexadecimal] = /^root=(?:98:(\d{1,3})|(?:0x)?0*62([0-9a-f]{2}))$/i.exec(argument) ?? [];
  const minor = decimal === undefined ? Number.parseInt(hexadecimal ?? '', 16) : Number(decimal);
  if (Number.isNaN(minor)) return null;
  const partition = minor % 16 === 0 ? '' : String(minor % 16);
  return `ubd${String.fromCodePoint(97 + Math.floor(minor / 16))}${partition}`;
}
