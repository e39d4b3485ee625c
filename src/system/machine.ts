import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** This machine, as backups and guests' records name it. */
export interface Machine {
  /** The host name; not unique. */
  host: string;
  /** 32 hex digits, derived from the machine-id; null where there is none. */
  id: string | null;
}

const MACHINE_ID_FILE = '/etc/machine-id';

/** The machine-id itself should stay on the machine (machine-id(5)): a digest identifies it as well. */
export function thisMachine(machineIdFile = MACHINE_ID_FILE): Machine {
  return { host: hostname(), id: digestOf(machineIdFile) };
}

function digestOf(file: string): string | null {
  try {
    const id = readFileSync(file, 'utf8').trim();
    return /^[0-9a-f]{32}$/.test(id) ? hash('sha256', `vmferry-machine ${id}`, 'hex').slice(0, 32) : null;
  } catch {
    // This is a container or a system without systemd, or there is no permission.
    return null;
  }
}

/** Identifies the kernel that runs, and so the machine, until it is started again (random(4)). Null if that cannot be told. */
export function runningKernelId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null;
  }
}
