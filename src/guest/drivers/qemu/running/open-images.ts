import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { Failure } from '../../../../failure.ts';
import type { GuestDefinition } from '../../../definition.ts';

export interface OpenFile {
  path: string;
  /** `device:inode`, or `device` of a block device. */
  identity: string;
  /** QEMU has locked it as an image that it writes to. */
  isWrittenImage: boolean;
}

/**
 * QEMU locks one byte for each way in which it uses an image, from the 100th on; the second is writing
 * (RAW_LOCK_PERM_BASE in block/file-posix.c, BLK_PERM_WRITE).
 */
const WRITE_LOCK_BYTE = 101;

/** The files that a process has open; empty for a process of another account. */
export function openFiles(pid: number): OpenFile[] {
  return namesIn(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
      if (!path.startsWith('/')) return [];
      const identity = identityOf(`/proc/${pid}/fd/${fd}`);
      if (identity === null) return [];
      return [
        { path, identity, isWrittenImage: isWriteLocked(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')) },
      ];
    } catch {
      // It was closed meanwhile.
      return [];
    }
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function identityOf(path: string): string | null {
  try {
    const stat = statSync(path);
    if (stat.isBlockDevice()) return `device ${stat.rdev}`;
    return stat.isFile() ? `${stat.dev}:${stat.ino}` : null;
  } catch {
    return null;
  }
}

/** Lines of /proc/PID/fdinfo: `lock: 1: OFDLCK ADVISORY READ 4711 08:01:123 100 101`. */
export function isWriteLocked(fdinfo: string): boolean {
  return [...fdinfo.matchAll(/^lock:.* OFDLCK .* (\d+) (\d+)$/gm)].some(
    ([, from, to]) => Number(from) <= WRITE_LOCK_BYTE && WRITE_LOCK_BYTE <= Number(to),
  );
}

/** Files that vmferry puts beside an image (`.IMAGE.vmferry-…`). */
const isOwnFile = /\/\.[^/]*\.vmferry-[^/]*$/;

/**
 * A running guest can be given other disks than its arguments name: plugged in, or by a snapshot that put a new file over
 * the old one. Then its definition is wrong, and the failure says so. Null when its arguments name all images that it
 * writes to, and it has its disks open; also when that cannot be seen.
 */
export function unnamedImages(pid: number, { name, disks }: GuestDefinition): Failure | null {
  const open = openFiles(pid);
  const written = open.filter((file) => file.isWrittenImage && !isOwnFile.test(file.path));
  if (written.length === 0) return null;
  const named = new Map(disks.map(({ path }) => [identityOf(path), path]));
  const advice = 'Shut the guest down, and start it with arguments that name its disks as they are now.';
  const unnamed = written.find(({ identity }) => !named.has(identity));
  if (unnamed !== undefined)
    return new Failure(
      'guest-unsupported',
      `The guest ${name} writes to ${unnamed.path}, which its arguments do not name: it was attached, or put over a disk, later.`,
      { advice },
    );
  const opened = new Set(open.map(({ identity }) => identity));
  const missing = [...named].find(([identity]) => identity !== null && !opened.has(identity));
  if (missing === undefined) return null;
  return new Failure('guest-unsupported', `The guest ${name} does not use its disk ${missing[1]} any more.`, {
    advice,
  });
}
