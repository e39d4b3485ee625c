import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { tmpdir } from 'node:os';
import process from 'node:process';

/** Where the guests that vmferry starts here have their sockets, and the environment that they are started with. */
export interface QemuHost {
  environment: NodeJS.ProcessEnv;
  /** For directories of guests; private, and empty after a boot of this machine. */
  directory: string;
  /**
   * `$VMFERRY_MACHINE`: only guests with the same value in their environment are of this machine. So tests have several
   * machines on one. Absent: all guests are.
   */
  machine: string | undefined;
}

/** `$XDG_RUNTIME_DIR/vmferry/qemu`; without it /run/vmferry/qemu for root, else a directory of this account in /tmp. */
export function qemuHost(environment: NodeJS.ProcessEnv): QemuHost {
  const given = environment['XDG_RUNTIME_DIR'];
  const uid = process.geteuid?.() ?? 0;
  const base = given ? resolve(given) : uid === 0 ? '/run' : join(tmpdir(), `vmferry-${uid}`);
  return { environment, directory: join(base, 'vmferry', 'qemu'), machine: environment['VMFERRY_MACHINE'] };
}

/** A socket's path has at most 107 bytes (sun_path in linux/un.h), and a name may have 200. */
export function runtimeDirectory({ directory }: QemuHost, name: string): string {
  return join(directory, createHash('sha256').update(name).digest('hex').slice(0, 16));
}
