import { readProcess, type ProcessIdentity } from '../../system/proc-process.ts';
import type { ProcessStat } from '../../system/proc-stat.ts';
import type { GuestIdentity, RunningGuest } from '../guest-driver.ts';

/** For hypervisors whose guests are processes: one run of a guest is one process. */
export function identityOf({ pid, startTimeTicks }: ProcessIdentity): GuestIdentity {
  return { id: `${pid} ${startTimeTicks}`, label: `process ${pid}`, pid };
}

/** The process that is the guest; null when this run of the guest is gone. */
export function processOf({ identity }: Pick<RunningGuest, 'identity'>): ProcessStat | null {
  const [pid = 0, startTimeTicks] = identity.id.split(' ').map(Number);
  const stat = readProcess(pid);
  return stat?.startTimeTicks === startTimeTicks ? stat : null;
}
