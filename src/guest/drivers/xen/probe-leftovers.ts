import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../../events.ts';
import { errorCode, errorMessage } from '../../../system/error-code.ts';
import { isAlive } from '../../../system/proc-process.ts';
import { destroyDomain } from './halt.ts';
import { consoleLogOf } from './host/console-tail.ts';
import type { XenHost } from './host/host.ts';
import { proberOf } from './host/probe-name.ts';
import { xl } from './host/xl.ts';

/** For xl to answer, and for a domain to go. All leftovers are removed at the same time. */
const removalTimeoutMs = 10_000;

/** A domain, as `xl list` shows it. */
interface ListedDomain {
  domid: number;
  name: string;
}

/** The files of one probe. */
export function probeDirectoryOf(host: Pick<XenHost, 'runDirectory'>, name: string): string {
  return join(host.runDirectory, 'probes', name);
}

/**
 * Removes the domains and files of probes whose processes are gone. What cannot be removed stays, with a warning: another guest can
 * be tried all the same.
 */
export async function removeLeftovers(host: XenHost, { signal, report }: Context): Promise<void> {
  const warn = (error: unknown): void => {
    const message = `What an earlier trial of Xen left behind could not be removed. ${errorMessage(error)}`;
    report({ type: 'warning', code: 'clean-up-incomplete', message });
  };
  // Not `xl list -l`: it leaves out a domain that was never finished.
  const { exitStatus, stdout } = await xl(host, ['list'], signal);
  if (exitStatus !== 0) return;
  const guests: string[] = [];
  await Promise.all(
    findLeftovers(stdout).map(async ({ domid, name }) => {
      try {
        if (await hasDisks(host, domid, signal)) guests.push(name);
        else await destroyDomain(host, domid, name, null, removalTimeoutMs);
      } catch (error) {
        signal.throwIfAborted();
        warn(error);
      }
    }),
  );
  try {
    removeFiles(host, guests);
  } catch (error) {
    warn(error);
  }
}

/** Whether it is a guest: a probe has no disks. True if xl does not say. */
async function hasDisks(host: XenHost, domid: number, signal: AbortSignal): Promise<boolean> {
  const { exitStatus, stdout } = await xl(host, ['block-list', String(domid)], signal, removalTimeoutMs);
  // A header, and a line for each disk, which begins with its number.
  return exitStatus !== 0 || /^\d/m.test(stdout);
}

/** @param table of `xl list` */
export function findLeftovers(table: string): ListedDomain[] {
  return table.split('\n').flatMap((line) => {
    const [, name = '', domid] = /^(\S+)\s+(\d+)\s/.exec(line) ?? [];
    return isLeftover(name) ? [{ domid: Number(domid), name }] : [];
  });
}

/**
 * Removes what killed probes left in the file system: their directories, and the logs of their consoles.
 * @param guests names of domains that are called like probes, and are none: their logs stay
 */
export function removeFiles(
  host: Pick<XenHost, 'runDirectory' | 'consoleDirectory'>,
  guests: readonly string[],
): void {
  for (const name of namesIn(probeDirectoryOf(host, '')))
    if (isLeftover(name)) rmSync(probeDirectoryOf(host, name), { recursive: true, force: true });
  for (const file of namesIn(host.consoleDirectory)) {
    const name = /^guest-(.+)\.log$/.exec(file)?.[1] ?? '';
    if (isLeftover(name) && !guests.includes(name)) rmSync(consoleLogOf(host, name), { force: true });
  }
}

/** Whether it is the name of a probe whose process is gone. */
function isLeftover(name: string): boolean {
  const prober = proberOf(name);
  return prober !== null && !isAlive(prober);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
