import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** The machine that this runs on, as backups and guests' records name it. */
export interface Machine {
  /** Its host name. Two machines may have the same. */
  host: string;
  /** 32 hex digits, made from its machine-id; null where it has none. */
  id: string | null;
}

const MACHINE_ID_FILE = '/etc/machine-id';

/** The machine-id itself is not to be shown to others (machine-id(5)): a digest of it is as good here. */
export function thisMachine(machineIdFile = MACHINE_ID_FILE): Machine {
  return { host: hostname(), id: digestOf(machineIdFile) };
}

function digestOf(file: string): string | null {
  try {
    const id = readFileSync(file, 'utf8').trim();
    return /^[0-9a-f]{32}$/.test(id) ? hash('sha256', `vmferry-machine ${id}`, 'hex').slice(0, 32) : null;
  } catch {
    // Not of systemd, a container, or not to be read.
    return null;
  }
}
