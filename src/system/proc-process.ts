import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { errorCode } from './error-code.ts';
import { parseProcessStat, type ProcessStat } from './proc-stat.ts';

/** How a process was started. */
export interface ProcessInvocation {
  argv: readonly string[];
  /** Absolute path of the program, links resolved; if it was replaced since, the path that it had. */
  executable: string;
  workingDirectory: string;
}

/** Identifies a process for ever: a pid is used again, but not with the same start time. */
export type ProcessIdentity = Pick<ProcessStat, 'pid' | 'startTimeTicks'>;

/** Null if there is no such process, or it has ended and is not yet reaped. */
export function readProcess(pid: number): ProcessStat | null {
  const text = readIfThere(`/proc/${pid}/stat`);
  const stat = text === null ? null : parseProcessStat(text);
  return stat === null || stat.state === 'Z' || stat.state === 'X' ? null : stat;
}

export function isAlive(identity: ProcessIdentity): boolean {
  return readProcess(identity.pid)?.startTimeTicks === identity.startTimeTicks;
}

/** All live processes of this pid namespace. */
export function listProcesses(): ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((stat) => stat !== null);
}

/** The processes that `pid` started, those that they started, and so on. */
export function descendantsOf(
  pid: number,
  processes: readonly ProcessStat[] = listProcesses(),
): ProcessStat[] {
  const children = processes.filter((stat) => stat.parentPid === pid);
  return children.flatMap((child) => [child, ...descendantsOf(child.pid, processes)]);
}

/** Null when the process is gone, or is another user's. */
export function readInvocation(pid: number): ProcessInvocation | null {
  const commandLine = readIfThere(`/proc/${pid}/cmdline`);
  const executable = linkIfThere(`/proc/${pid}/exe`);
  const workingDirectory = linkIfThere(`/proc/${pid}/cwd`);
  if (!commandLine || executable === null || workingDirectory === null) return null;
  return {
    argv: commandLine.replace(/\0$/, '').split('\0'),
    executable: executable.replace(/ \(deleted\)$/, ''),
    workingDirectory,
  };
}

/** Sends the signal, unless the process is already gone. Throws Node's own error, `code` EPERM. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

function linkIfThere(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

/** ESRCH: the process ended between opening and reading. EACCES, EPERM: it is another user's. */
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(errorCode(error));
}
