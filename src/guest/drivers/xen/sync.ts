import { closeSync, constants, existsSync, openSync, readSync } from 'node:fs';
import { poll } from '../../../pipeline/polling.ts';
import type { RunningGuest } from '../../guest-driver.ts';
import { consoleLogOf, sizeOf } from './host/console-tail.ts';
import type { XenHost } from './host/host.ts';
import { xl } from './host/xl.ts';

const intervalMs = 100;
/** do_sync_work() in the kernel's fs/sync.c prints this after it has written everything out. */
const done = 'Emergency Sync complete';

/**
 * Has the guest's kernel write out its memory, by its magic key. Returns null when its console said that this is done, otherwise
 * why it is not known, as the end of a sentence: Xen has no other way to hear it.
 */
export async function syncXen(
  host: XenHost,
  { definition: { name } }: RunningGuest,
  domid: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  const log = consoleLogOf(host, name);
  if (!existsSync(log)) return 'xenconsoled keeps no log of its console, in which its kernel would say so';
  const offset = sizeOf(log);
  const { exitStatus } = await xl(host, ['sysrq', String(domid), 's'], signal);
  if (exitStatus !== 0) return 'its kernel does not take orders by Xen';
  const isDone = await poll(() => textFrom(log, offset).includes(done), { timeoutMs, intervalMs, signal });
  if (isDone !== null) return null;
  return `its kernel did not say within ${Math.round(timeoutMs / 1000)} s that it has written everything`;
}

function textFrom(path: string, offset: number): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const buffer = Buffer.alloc(65_536);
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, offset));
  } finally {
    closeSync(fd);
  }
}
