import { readFileSync, rmSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { poll } from '../../../pipeline/polling.ts';
import { startDetached, type DetachedProcess } from '../../../system/detached-process.ts';
import { errorMessage } from '../../../system/error-code.ts';
import { makeDirectories } from '../../../system/make-directories.ts';
import { signalProcess, type ProcessIdentity } from '../../../system/proc-process.ts';
import type { GuestDefinition } from '../../definition.ts';
import { probeInitrd } from '../../initrd/probe-initrd.ts';
import { writeXenText } from './config/whole-text.ts';
import { destroyDomain } from './halt.ts';
import { ConsoleTail, consoleLogOf } from './host/console-tail.ts';
import { domidOf } from './host/domains.ts';
import { findProgram, type XenHost } from './host/host.ts';
import { probeName } from './host/probe-name.ts';
import { complaintOf, xlMissing } from './host/xl.ts';
import type { Booted } from './places/boot-notes.ts';
import { probeDirectoryOf } from './probe-leftovers.ts';

/** Together with the time for the kernel (boot-probe.ts), 90 s. Xen usually removes a domain in a second. */
const endTimeoutMs = 30_000;
const intervalMs = 200;

/** What is booted: a guest without disks and cards, whose only program switches it off. */
export interface ProbeGuest extends Booted {
  virtualization: 'pv' | 'pvh';
}

/** How a kernel failed. */
export interface BootFault {
  /** A clause for messages, with its full stop: `it crashed.` */
  why: string;
  /** What its console showed. */
  console: string;
}

/**
 * Boots the kernel in a domain once. Gives how that failed; null if it worked. The domain is gone afterwards; if it stays, a warning
 * says so. Throws errors of the file system as they are, and Failure `halt-failed` if the domain of an earlier call is still there.
 */
export async function bootOnce(
  guest: ProbeGuest,
  own: ProcessIdentity,
  timeoutMs: number,
  host: XenHost,
  context: Context,
): Promise<BootFault | null> {
  const name = probeName(own);
  if ((await domidOf(host, name, context.signal)) !== null)
    throw new Failure('halt-failed', `The domain ${name} of an earlier trial is still there.`);
  const directory = probeDirectoryOf(host, name);
  await makeDirectories(dirname(directory), 0o755);
  await mkdir(directory, { mode: 0o700 });
  try {
    const initrd = join(directory, 'initrd');
    await writeFile(initrd, probeInitrd());
    const definition: GuestDefinition = {
      ...guest,
      name,
      driver: 'xen',
      cpuCount: 1,
      initrd,
      commandLine: ['console=hvc0', 'earlyprintk=xen'],
      disks: [],
    };
    // A domain that crashed stays until its console was read.
    const ends = 'on_poweroff = "destroy"\non_reboot = "destroy"\non_crash = "preserve"\n';
    await writeFile(join(directory, 'config'), writeXenText(definition) + ends);
    return await boot(name, directory, timeoutMs, host, context);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function boot(
  name: string,
  directory: string,
  timeoutMs: number,
  host: XenHost,
  { signal, report }: Context,
): Promise<BootFault | null> {
  const program = findProgram(host, 'xl');
  if (program === null) throw xlMissing(host);
  const outputFile = join(directory, 'xl');
  const said = (): string => readFileSync(outputFile, 'latin1');
  using tail = new ConsoleTail(host, name, join(directory, 'console'));
  const readConsole = async (): Promise<void> => {
    const domid = /\(domid (\d+)\)/.exec(said())?.[1];
    if (domid !== undefined) await tail.read(host, Number(domid));
  };
  // It waits for the end of the domain. With a file for its output, it also removes the domain if this process is killed.
  const env = { ...host.environment, LC_ALL: 'C' };
  const xl = await startDetached(program, ['create', '-F', join(directory, 'config')], {
    outputFile,
    workingDirectory: '/',
    env,
  });
  try {
    const look = async (): Promise<string | null> => {
      await readConsole();
      return xl.ended();
    };
    const ending = await poll(look, { timeoutMs, intervalMs, signal });
    await readConsole();
    const why = faultOf(ending, said(), tail.text, timeoutMs);
    return why === null ? null : { why, console: tail.text };
  } finally {
    await end(name, host, xl, report);
  }
}

/** Linux could not use the initial RAM disk, and goes no further without a disk. It did run. */
const needsDisk = /VFS: Unable to mount root fs/;

function faultOf(ending: string | null, said: string, console: string, timeoutMs: number): string | null {
  // Codes of SHUTDOWN_* in xen/include/public/sched.h.
  const reason = /has shut down, reason code (\d+)/.exec(said)?.[1];
  if (reason === '0' || needsDisk.test(console)) return null;
  if (ending === null) return `it did not end within ${Math.round(timeoutMs / 1000)} s.`;
  if (reason === '3') return 'it crashed.';
  if (reason !== undefined) return `it ended without being told to (${reason}).`;
  return `${complaintOf({ exitStatus: null, stdout: said, stderr: '' })}.`;
}

/** Returns when there is no such domain, and xl has ended; or after a while, with a warning. Never aborted. */
async function end(
  name: string,
  host: XenHost,
  xl: DetachedProcess,
  report: Context['report'],
): Promise<void> {
  const { signal } = new AbortController();
  try {
    await poll(
      async () => {
        const domid = await domidOf(host, name, signal);
        if (domid !== null) await destroyDomain(host, domid, name, null, endTimeoutMs / 2);
        return domid === null && xl.ended() !== null;
      },
      { timeoutMs: endTimeoutMs, intervalMs, signal },
    );
  } catch (error) {
    // What was found out about the kernel counts all the same.
    const message = `The domain with which Xen was tried could not be removed. ${errorMessage(error)}`;
    report({ type: 'warning', code: 'clean-up-incomplete', message });
  }
  if (xl.ended() === null) signalProcess(xl.pid, 'SIGKILL');
  rmSync(consoleLogOf(host, name), { force: true });
}
