import type { BigIntStats } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';

/* Which processes have a file open, and how: proc(5), /proc/PID/fd and /proc/PID/fdinfo. */

/** Whether both are the same file, or the same block device under any name. */
export function isSameFile(first: BigIntStats, second: BigIntStats): boolean {
  if (first.isBlockDevice()) return second.isBlockDevice() && first.rdev === second.rdev;
  return first.dev === second.dev && first.ino === second.ino;
}

/** How a process has the file open; null when it does not, or when the process is another user's. Writing outweighs reading. */
export async function howOpen(pid: number, file: BigIntStats): Promise<'to-read' | 'to-write' | null> {
  let found: 'to-read' | null = null;
  for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    const link = `/proc/${pid}/fd/${descriptor}`;
    // Most descriptors are sockets and pipes. The link's text shows that, and costs less than a stat.
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

/**
 * O_ACCMODE is in the lower two bits of the last octal digit (open(2)). Without a line of flags, writing is assumed.
 */
function isForReading(fdinfo: string): boolean {
  const flags = /^flags:\t[0-7]*([0-7])$/m.exec(fdinfo)?.[1];
  return flags !== undefined && (Number(flags) & 0b11) === 0;
}
