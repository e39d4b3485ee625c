import { readFileSync } from 'node:fs';
import { basename, isAbsolute, normalize, resolve } from 'node:path';
import { readInvocation, type ProcessInvocation } from '../../../../system/proc-process.ts';
import { holdsUnixSocket } from '../../../../system/proc-sockets.ts';
import { PROBE_NAME } from '../arguments/command.ts';
import { isQemuProgram } from '../arguments/program-name.ts';
import { readSockets, type QemuSockets } from '../arguments/monitors.ts';
import { readOptions } from '../arguments/option-list.ts';
import { openFiles } from './open-images.ts';

/** The guest's socket paths, as far as its process still has them open; null when the process is gone. */
export function findSockets(pid: number): QemuSockets | null {
  const invocation = qemuInvocation(pid);
  if (invocation === null) return null;
  const { qmp, agent } = readSockets(readOptions(invocation.argv.slice(1)).options);
  // Another process may have bound the path since. A relative path is bound as it was given.
  const held = (path: string): string[] => (holdsUnixSocket(pid, path) ? absolute(path) : []);
  const absolute = (path: string): string[] => {
    const found = path.startsWith('\0') ? path : resolvePath(path, pid, invocation);
    return found === null ? [] : [found];
  };
  return {
    // The last is our own, if vmferry started the guest: nothing else uses it.
    qmp: qmp.flatMap(held).toReversed(),
    agent: agent === null ? null : (held(agent)[0] ?? null),
  };
}

/** Null for a process that is no guest of QEMU, or one that another driver looks after. */
export function qemuInvocation(pid: number): ProcessInvocation | null {
  const invocation = readInvocation(pid);
  if (invocation === null || !isQemuProgram(basename(invocation.executable))) return null;
  return isGuest(invocation.argv) ? invocation : null;
}

/** See `QemuHost.machine`. */
export function isOfMachine(pid: number, machine: string | undefined): boolean {
  if (machine === undefined) return true;
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`VMFERRY_MACHINE=${machine}`);
  } catch {
    return false;
  }
}

function isGuest(argv: readonly string[]): boolean {
  if (argv.length < 2 || argv.includes(PROBE_NAME)) return false;
  // libvirt asks a QEMU without a machine what it can do.
  if (isMachine(argv, 'none')) return false;
  return !isOfLibvirt(argv) && !argv.some((argument) => /^-?-xen-(?:domid|attach)$/.test(argument));
}

function isMachine(argv: readonly string[], type: string): boolean {
  return argv.some(
    (argument, index) =>
      /^-?-(?:machine|M)$/.test(argument) &&
      new RegExp(`^(?:type=)?${type}(?:,|$)`).test(argv[index + 1] ?? ''),
  );
}

/** libvirt gives each QEMU a monitor, and a key, in a directory of the domain (qemu_domain.c: `domain-ID-NAME`). */
export function isOfLibvirt(argv: readonly string[]): boolean {
  const marks = /\/domain-\d+-[^/]*\/(?:monitor\.sock|master-key\.aes)|\/libvirt\/qemu\/[^/,]+\.monitor\b/;
  return argv.some((argument) => marks.test(argument) || /\bid=charmonitor\b/.test(argument));
}

/** A QEMU that made itself a daemon has left the directory in which it was started (os_setup_post in os-posix.c). */
export function resolvePath(
  path: string,
  pid: number,
  { argv, workingDirectory }: ProcessInvocation,
): string | null {
  if (isAbsolute(path)) return path;
  if (!argv.some((argument) => /^-?-daemonize$/.test(argument))) return resolve(workingDirectory, path);
  const ending = `/${normalize(path)}`;
  const found = new Set(openFiles(pid).flatMap((file) => (file.path.endsWith(ending) ? [file.path] : [])));
  const [only] = found;
  return found.size === 1 && only !== undefined ? only : null;
}
