import { performance } from 'node:perf_hooks';
import type { GuestDefinition } from '../../../definition.ts';
import { asObject, type Qmp } from '../qmp/qmp.ts';
import { runState } from '../running/session.ts';

/** Much more than a kernel reads to find partitions, and less than the smallest system with one program. */
const PROGRAMS_BYTES = 2 ** 20;
/** A guest that cannot go on has told so by then. */
const settleMs = 1_000;

export interface BootProgress {
  /** Whether the guest is up; a text if it cannot come up: the end of a sentence. Throws QmpError when QEMU has ended. */
  look(): Promise<boolean | string>;
}

/**
 * QEMU does not see what runs in a guest. It counts as up when it has written to a disk, as a system does that has
 * mounted it, or has read a mebibyte from its disks, and has then run on for a second. A guest with a kernel of its own that
 * restarts instead has failed; one with firmware may restart once.
 */
export function bootProgress(qmp: Qmp, { boot = 'kernel', disks }: GuestDefinition): BootProgress {
  let sinceMs: number | null = null;
  const beganMs = performance.now();
  const restarted = (): boolean =>
    boot === 'kernel' &&
    qmp.findEvent(({ event, data }) => event === 'RESET' && data['guest'] === true) !== null;
  return {
    async look() {
      if (restarted()) return 'restarted while it was starting';
      if (qmp.findEvent(({ event }) => event === 'GUEST_PANICKED') !== null)
        return 'panicked while it was starting';
      const state = await runState(qmp);
      if (state === 'shutdown') return 'shut down while it was starting';
      if (state !== 'running') return false;
      if (!(disks.length === 0 || (await usesDisks(qmp)))) return false;
      sinceMs ??= disks.length === 0 ? beganMs : performance.now();
      return performance.now() - sinceMs >= settleMs;
    },
  };
}

async function usesDisks(qmp: Qmp): Promise<boolean> {
  const answer = await qmp.execute('query-blockstats');
  const devices = Array.isArray(answer) ? answer : [];
  const sum = (key: string): number =>
    devices.reduce(
      (total: number, device) => total + Number(asObject(asObject(device)?.['stats'])?.[key] ?? 0),
      0,
    );
  return sum('wr_operations') > 0 || sum('rd_bytes') >= PROGRAMS_BYTES;
}
