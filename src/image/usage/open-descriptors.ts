import type { BigIntStats } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';

/* Which processes have a file open, and how: proc(5), /proc/PID/fd and /proc/PID/fdinfo. */

/** The same file; or, for block devices, the same device whatever node names it. */
export function isSameFile(first: BigIntStats, second: BigIntStats): boolean {
  if (first.isBlockDevice()) return second.isBlockDevice() && first.rdev === second.rdev;
  return first.dev === second.dev && first.ino === second.ino;
}

/** How a process has the file open; null where it has not, or is another user's. Of several descriptors, one that writes counts. */
export async function howOpen(pid: number, file: BigIntStats): Promise<'to-read' | 'to-write' | null> {
  let found: 'to-read' | null = null;
  for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    const link = `/proc/${pid}/fd/${descriptor}`;
    // sockets and pipes are passed over by name: most descriptors are such, and a stat of each costs more
    const target = await readlink(link).catch(() => '');
    if (!target.startsWith('/')) continue;
    const opened = await stat(link, { bigint: true }).catch(() => null);
    if (opened === null || !isSameFile(file, opened)) continue;
    if (!isForReading(await readFile(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8').catch(() => '')))
      return 'to-write';
    found = 'to-read';
  }
  return found;
}

/** The last octal digit but its uppermost bit is O_ACCMODE (open(2)). What says nothing may write. */
function isForReading(fdinfo: string): boolean {
  const flags = /^flags:\t[0-7]*([0-7])$/m.exec(fdinfo)?.[1];
  return flags !== undefined && (Number(flags) & 0b11) === 0;
}
