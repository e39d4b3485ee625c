import { Failure } from '../../../failure.ts';
import type { GuestIdentity, RunningGuest } from '../../guest-driver.ts';
import {
  isAlive,
  listProcesses,
  readInvocation,
  readProcess,
  type ProcessIdentity,
} from '../../../system/proc-process.ts';
import { domainInfo, type DomainInfo } from './domains.ts';
import type { Virsh } from './virsh.ts';

/** One run of a domain: libvirt's number for it, and the process of its QEMU where that can be seen. */
interface Run {
  uuid: string;
  domainId: number;
  process: ProcessIdentity | null;
}

export function identityOf({ uuid, id }: DomainInfo, processes: QemuProcesses): GuestIdentity {
  const process = processes.of(uuid, id ?? 0);
  const parts = [uuid, id, ...(process === null ? [] : [process.pid, process.startTimeTicks])];
  return {
    id: parts.join(' '),
    label: `domain ${id}`,
    ...(process === null ? {} : { pid: process.pid }),
  };
}

export function runOf({ identity }: Pick<RunningGuest, 'identity'>): Run {
  const [uuid = '', domainId, pid, startTimeTicks] = identity.id.split(' ');
  const process =
    pid === undefined || startTimeTicks === undefined
      ? null
      : { pid: Number(pid), startTimeTicks: Number(startTimeTicks) };
  return { uuid, domainId: Number(domainId), process };
}

/** The state of this run of the guest, as `virsh dominfo` calls it, or `ending`; null when it is over for its process and for libvirt.
 * Throws Failure `hypervisor-missing` if libvirt does not answer, and its process is not known. */
export async function stateOf(guest: Pick<RunningGuest, 'identity'>, virsh: Virsh): Promise<string | null> {
  const { uuid, domainId, process } = runOf(guest);
  const lives = process !== null && isAlive(process);
  const info = await domainInfo(virsh, uuid).catch((error: unknown) => {
    // Its process is seen here.
    if (process !== null && error instanceof Failure) return null;
    throw error;
  });
  if (info?.id === domainId) return process === null || lives ? info.state : 'ending';
  // The process counts when libvirt does not answer, and when libvirt gives up a domain before its process has ended.
  return lives ? 'ending' : null;
}

/** The processes of QEMU that libvirt started, as they are now. */
export class QemuProcesses {
  readonly #processes: readonly { pid: number; argv: readonly string[] }[];

  constructor() {
    this.#processes = listProcesses().flatMap(({ pid }) => {
      const argv = readInvocation(pid)?.argv ?? [];
      return argv.includes('-uuid') ? [{ pid, argv }] : [];
    });
  }

  /** By its `-uuid`; of several, the one whose secret is in the directory of this run. */
  of(uuid: string, domainId: number): ProcessIdentity | null {
    const same = this.#processes.filter(
      ({ argv }) => argv[argv.indexOf('-uuid') + 1]?.toLowerCase() === uuid,
    );
    const ofRun = same.find(({ argv }) => argv.some((word) => word.includes(`/domain-${domainId}-`)));
    const found = ofRun ?? same[0];
    return found === undefined ? null : readProcess(found.pid);
  }
}
