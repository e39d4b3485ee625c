import { rmSync } from 'node:fs';
import { isAlive } from '../../../system/proc-process.ts';
import { destroyDomain } from './halt.ts';
import { consoleLogOf } from './host/console-tail.ts';
import type { XenHost } from './host/host.ts';
import { proberOf } from './host/probe-name.ts';
import { xl } from './host/xl.ts';

/** Ends the domains of probes whose processes are gone. A domain with disks is a guest, whatever its name is. */
export async function removeLeftovers(host: XenHost, signal: AbortSignal): Promise<void> {
  // Not `xl list -l`: it leaves out a domain that was never finished.
  const { stdout } = await xl(host, ['list'], signal);
  for (const { domid, name } of findLeftovers(stdout)) {
    if (await hasDisks(host, domid, signal)) continue;
    await destroyDomain(host, domid, name, null);
    rmSync(consoleLogOf(host, name), { force: true });
  }
}

/** True if xl does not say. */
async function hasDisks(host: XenHost, domid: number, signal: AbortSignal): Promise<boolean> {
  const { exitStatus, stdout } = await xl(host, ['block-list', String(domid)], signal);
  // A header, and a line for each disk, which begins with its number.
  return exitStatus !== 0 || /^\d/m.test(stdout);
}

/** @param table of `xl list` */
export function findLeftovers(table: string): { domid: number; name: string }[] {
  return table.split('\n').flatMap((line) => {
    const [, name = '', domid] = /^(\S+)\s+(\d+)\s/.exec(line) ?? [];
    const prober = proberOf(name);
    return prober === null || isAlive(prober) ? [] : [{ domid: Number(domid), name }];
  });
}
