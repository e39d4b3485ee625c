import { readProcess, type ProcessIdentity } from '../../../system/proc-process.ts';
import type { ProcessStat } from '../../../system/proc-stat.ts';
import type { GuestIdentity, RunningGuest } from '../../guest-driver.ts';

/** One run of a guest is one process: that of its kernel. */
export function identityOf({ pid, startTimeTicks }: ProcessIdentity): GuestIdentity {
  return { id: `${pid} ${startTimeTicks}`, label: `process ${pid}`, pid };
}

/** The process of the guest's kernel; null when this run of the guest is gone. */
export function kernelProcess({ identity }: Pick<RunningGuest, 'identity'>): ProcessStat | null {
  const [pid = 0, startTimeTicks] = identity.id.split(' ').map(Number);
  const stat = readProcess(pid);
  return stat?.startTimeTicks === startTimeTicks ? stat : null;
}
