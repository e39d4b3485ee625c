import { readFileSync } from 'node:fs';
import type { FramePool } from './frame-pool.ts';

/**
 * Runs the work while all worker threads, which read and compress the images, let everybody else have the disk and the processors first; then as
 * usual again. For work during which the guest runs: while it waits, every second counts.
 */
export async function yielding<Result>(
  pool: Pick<FramePool, 'runOnEach'>,
  work: () => Promise<Result>,
): Promise<Result> {
  const ofProcessors = mayRaisePriority();
  await pool.runOnEach({ kind: 'yield', yields: true, ofProcessors });
  try {
    return await work();
  } finally {
    // A pool whose workers have ended has nothing to put back.
    await pool.runOnEach({ kind: 'yield', yields: false, ofProcessors }).catch(() => undefined);
  }
}

/** linux/capability.h: CAP_SYS_NICE. */
const CAP_SYS_NICE = 23n;

/** user_namespaces(7): the map of the initial namespace. Others have the capability, but not for this. */
const INITIAL_USERS = /^\s*0\s+0\s+4294967295\s*$/;

/** Whether this process may take back a nice value (capabilities(7), proc(5): CapEff). */
export function mayRaisePriority(
  status = readFileSync('/proc/self/status', 'utf8'),
  users = readFileSync('/proc/self/uid_map', 'utf8'),
): boolean {
  const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  if (effective === undefined || !INITIAL_USERS.test(users)) return false;
  return ((BigInt(`0x${effective}`) >> CAP_SYS_NICE) & 1n) === 1n;
}
