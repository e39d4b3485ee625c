import { performance } from 'node:perf_hooks';
import type { Mconsole } from './mconsole.ts';
import { poll } from '../../../../pipeline/polling.ts';

const intervalMs = 20;
/** The first round only starts the commits of the file systems. The second round writes after these commits. */
const rounds = 2;

/** The part of the management console that is needed here. */
export type Console = Pick<Mconsole, 'ask' | 'readProc'>;

/** A kernel's counts of its page cache, from /proc/vmstat. */
export interface PageCounts {
  /** Pages that differ from the disks, including those that are being written. */
  unwritten: number;
  /** Pages that were ever changed in memory. */
  dirtied: number;
}

/** Parses /proc/vmstat; null when a count is missing. */
export function parsePageCounts(vmstat: string): PageCounts | null {
  const count = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(vmstat)?.[1]);
  const unwritten = count('nr_dirty') + count('nr_writeback');
  const dirtied = count('nr_dirtied');
  return Number.isNaN(unwritten + dirtied) ? null : { unwritten, dirtied };
}

/** Whether everything unwritten at `before` is on the disks now: at most the pages changed since then are unwritten. */
export function isWrittenSince(before: PageCounts, now: PageCounts): boolean {
  return now.unwritten <= now.dirtied - before.dirtied;
}

/**
 * Makes the guest's kernel write out its memory. Returns null when that is done, otherwise the reason why not, as the end
 * of a sentence. The kernel's message "Emergency Sync complete" goes to a console that may be a person's terminal, and
 * a quiet guest does not print it. Its counts can always be read.
 */
export async function syncUml(
  mconsole: Console,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  const keys = await mconsole.readProc('sys/kernel/sysrq');
  if (keys !== null && !allowsSync(Number(keys))) return 'its kernel has sysrq switched off';
  const deadlineMs = performance.now() + timeoutMs;
  for (let round = 0; round < rounds; round++) {
    const before = await readPageCounts(mconsole);
    if (before === null || (await mconsole.ask('sysrq', 's')) === null) return 'its kernel does not answer';
    const written = await poll(
      async () => {
        const now = await readPageCounts(mconsole);
        return now !== null && isWrittenSince(before, now);
      },
      { timeoutMs: deadlineMs - performance.now(), intervalMs, signal },
    );
    if (written === null) return `it took longer than ${Math.round(timeoutMs / 1000)} s`;
  }
  return null;
}

async function readPageCounts(mconsole: Console): Promise<PageCounts | null> {
  const vmstat = await mconsole.readProc('vmstat');
  return vmstat === null ? null : parsePageCounts(vmstat);
}

/** The bits of kernel.sysrq (Documentation/admin-guide/sysrq.rst): 1 alone means all; 16, sync. */
function allowsSync(keys: number): boolean {
  return keys === 1 || (keys & 16) !== 0;
}
