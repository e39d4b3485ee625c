import type { Mconsole } from './mconsole.ts';
import { poll } from '../../../pipeline/polling.ts';

const intervalMs = 20;
/** A round begins the file systems' commits without waiting for them; the next one's writes come after them. */
const rounds = 2;

/** What of the management console is needed here. */
export type Console = Pick<Mconsole, 'ask' | 'readProc'>;

/** What a kernel counts of its page cache in /proc/vmstat. */
export interface PageCounts {
  /** Pages that differ from what is on the disks, those that are on their way there included. */
  unwritten: number;
  /** Pages that were ever made to differ. */
  dirtied: number;
}

/** From the text of /proc/vmstat; null where one of the counts is not there. */
export function parsePageCounts(vmstat: string): PageCounts | null {
  const count = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(vmstat)?.[1]);
  const unwritten = count('nr_dirty') + count('nr_writeback');
  const dirtied = count('nr_dirtied');
  return Number.isNaN(unwritten + dirtied) ? null : { unwritten, dirtied };
}

/** What is unwritten now may all have been written to memory after `before`: what was there before is on the disks. */
export function isWrittenSince(before: PageCounts, now: PageCounts): boolean {
  return now.unwritten <= now.dirtied - before.dirtied;
}

/**
 * Has the guest's kernel write out what it has in memory. Gives null when that is done; else why it is not, as the end
 * of a sentence. The kernel's own word, "Emergency Sync complete", goes to a console that may be anyone's terminal,
 * and is not printed at all where the guest is quiet; its counts can always be asked.
 */
export async function syncUml(
  mconsole: Console,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  const keys = await mconsole.readProc('sys/kernel/sysrq');
  if (keys !== null && !allowsSync(Number(keys))) return 'its kernel has sysrq switched off';
  const deadlineMs = Date.now() + timeoutMs;
  for (let round = 0; round < rounds; round++) {
    const before = await readPageCounts(mconsole);
    if (before === null || (await mconsole.ask('sysrq', 's')) === null) return 'its kernel does not answer';
    const written = await poll(
      async () => {
        const now = await readPageCounts(mconsole);
        return now !== null && isWrittenSince(before, now);
      },
      { timeoutMs: deadlineMs - Date.now(), intervalMs, signal },
    );
    if (written === null) return `that was not done within ${Math.round(timeoutMs / 1000)} s`;
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
