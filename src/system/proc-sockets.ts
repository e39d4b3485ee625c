import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/**
 * Whether the process has the Unix socket open that was bound to this path, spelled as in the call of bind(2). Looks in
 * the network namespace of the process. False if that cannot be read.
 */
export function holdsUnixSocket(pid: number, boundPath: string): boolean {
  try {
    const sockets = new Set(socketInodes(readFileSync(`/proc/${pid}/net/unix`, 'utf8'), boundPath));
    if (sockets.size === 0) return false;
    return readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.has(descriptorTarget(pid, fd)));
  } catch {
    return false;
  }
}

/** `socket:[INODE]` of each socket with this path. Columns: Num RefCount Protocol Flags Type St Inode Path. */
export function socketInodes(procNetUnix: string, boundPath: string): string[] {
  return procNetUnix
    .split('\n')
    .map((line) => /^\S+ \S+ \S+ \S+ \S+ \S+ +(\d+) (.*)$/.exec(line))
    .filter((match) => match?.[2] === boundPath)
    .map((match) => `socket:[${match?.[1]}]`);
}

function descriptorTarget(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return '';
  }
}
