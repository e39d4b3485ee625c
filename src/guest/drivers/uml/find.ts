import { resolve } from 'node:path';
import {
  descendantsOf,
  readInvocation,
  readProcess,
  type ProcessInvocation,
} from '../../../system/proc-process.ts';
import { isExecutableFile } from '../../../system/children/find-program.ts';
import { holdsUnixSocket } from '../../../system/proc-sockets.ts';
import type { RunningGuest } from '../../guest-driver.ts';
import { parseUmlCommandLine, requestedUmid } from './command-line.ts';
import { detectCopyOnWrite } from './copy-on-write.ts';
import { identityOf } from '../process-identity.ts';
import { listUmids, readPidFile, socketPath, type UmlHost } from './host.ts';

/** The guests that run now, by name. */
export function findUmlGuests(host: UmlHost): RunningGuest[] {
  const guests = new Map<string, RunningGuest>();
  for (const name of listUmids(host)) {
    const guest = findUmlGuest(host, name);
    if (guest !== null) guests.set(guest.identity.id, guest);
  }
  return [...guests.values()];
}

/** The guest that runs under the name; null when there is none, or it is another user's. */
export function findUmlGuest(host: UmlHost, name: string): RunningGuest | null {
  const pid = readPidFile(host, name);
  if (pid === null) return null;
  const stat = readProcess(pid);
  const invocation = readInvocation(pid);
  if (stat === null || invocation === null || !isThatGuest(host, name, pid, invocation)) return null;
  const { definition, unsupported } = detectCopyOnWrite(
    parseUmlCommandLine(name, {
      argv: invocation.argv,
      workingDirectory: invocation.workingDirectory,
      kernel: kernelOf(invocation),
    }),
    { pid, workingDirectory: invocation.workingDirectory },
  );
  // A guest is several processes: its kernel, helpers for input and output, and one for each address space in it. The
  // kernel's entry includes its children that have ended; running children have entries of their own.
  const cpuSeconds = descendantsOf(pid).reduce(
    (sum, child) => sum + child.cpuSeconds + child.endedChildrenCpuSeconds,
    stat.cpuSeconds + stat.endedChildrenCpuSeconds,
  );
  return {
    definition,
    identity: identityOf(stat),
    cpuSeconds,
    ...(unsupported === null ? {} : { unsupported }),
  };
}

/**
 * The pid file may be left over, and its pid may belong to another process now. A process that asked for this name is
 * the guest. One that asked for another name, or for none, is the guest only if it holds the socket of this name.
 */
function isThatGuest(host: UmlHost, name: string, pid: number, invocation: ProcessInvocation): boolean {
  return requestedUmid(invocation.argv) === name || holdsUnixSocket(pid, socketPath(host, name));
}

/**
 * The kernel's path as it was given, so that a script that prepares and starts the kernel is used again. If that is not the
 * path of a program, the path of the running program.
 */
function kernelOf(invocation: ProcessInvocation): string {
  const [name = ''] = invocation.argv;
  const path = resolve(invocation.workingDirectory, name);
  return name.includes('/') && isExecutableFile(path) ? path : invocation.executable;
}
