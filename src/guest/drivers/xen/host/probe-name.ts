import type { ProcessIdentity } from '../../../../system/proc-process.ts';

/**
 * The name of the domain with which a process tries whether guests boot here. It names that process, so that a later one knows
 * whether the domain was left behind.
 */
export function probeName({ pid, startTimeTicks }: ProcessIdentity): string {
  return `vmferry-probe-${pid}-${startTimeTicks}`;
}

/** The process that tries something with this domain; null for the name of any other domain. */
export function proberOf(name: string): ProcessIdentity | null {
  const [, pid, ticks] = /^vmferry-probe-(\d{1,10})-(\d{1,15})$/.exec(name) ?? [];
  return pid === undefined ? null : { pid: Number(pid), startTimeTicks: Number(ticks) };
}
