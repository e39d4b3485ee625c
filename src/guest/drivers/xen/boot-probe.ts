import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import { poll } from '../../../pipeline/polling.ts';
import { startDetached, type DetachedProcess } from '../../../system/detached-process.ts';
import { readProcess, signalProcess } from '../../../system/proc-process.ts';
import type { GuestDefinition } from '../../definition.ts';
import { probeInitrd } from '../../initrd/probe-initrd.ts';
import { consoleExcerpt } from '../console-excerpt.ts';
import { readInfo } from './check.ts';
import { findOwnKernel } from './complete.ts';
import { virtualizationOf } from './config/write.ts';
import { writeXenText } from './config/whole-text.ts';
import { destroyDomain } from './halt.ts';
import { ConsoleTail, consoleLogOf } from './host/console-tail.ts';
import { domidOf } from './host/domains.ts';
import { findProgram, type XenHost } from './host/host.ts';
import { probeName } from './host/probe-name.ts';
import { complaintOf, xlMissing } from './host/xl.ts';
import { runsX86_64 } from './host/kernel-width.ts';
import { hasBooted, noteBooted, type Booted } from './places/boot-notes.ts';
import { removeLeftovers } from './probe-leftovers.ts';

const MEBIBYTE = 2 ** 20;
/** Debian's kernel 6.1 needs 88 MiB to boot. */
const MOST_BYTES = 128 * MEBIBYTE;
/** What Xen itself needs for a domain, and some more. */
const OVERHEAD_BYTES = 16 * MEBIBYTE;
/**
 * In an emulated machine a kernel has booted after 8 s, and after 30 s when that is busy. The mover waits two minutes for all checks
 * (src/wire/step-limits.ts).
 */
const timeoutMs = 60_000;
const endTimeoutMs = 60_000;
const intervalMs = 200;

/** What is tried: a guest without disks and cards, whose only program switches it off. */
export interface ProbeGuest extends Booted {
  virtualization: 'pv' | 'pvh';
}

/**
 * What stands for the guest; null if it cannot be tried. A guest of the type HVM would need a QEMU, and starts in its firmware. The kernel
 * of a guest with a boot loader is on its disk, which is not here yet: this machine's own kernel shows that Xen boots guests at all.
 */
export function probeGuestOf(
  definition: GuestDefinition,
  { kernelDirectory }: Pick<XenHost, 'kernelDirectory'>,
): ProbeGuest | null {
  const { boot = 'kernel' } = definition;
  const virtualization = virtualizationOf(definition);
  if (virtualization === 'hvm' || process.arch !== 'x64') return null;
  const kernel =
    boot === 'boot-loader' ? (findOwnKernel(kernelDirectory)?.kernel ?? null) : definition.kernel;
  if (kernel === null) return null;
  // With less memory than it is going to have, a big kernel would not boot either.
  const memoryBytes = Math.min(definition.memoryBytes ?? MOST_BYTES, MOST_BYTES);
  return { kernel, virtualization, memoryBytes };
}

/**
 * Boots a kernel in a domain without disks for a moment, to see whether Xen can run it here. Gives what is wrong; null if it works or has
 * worked before, if nobody knows whether it is a kernel for x86-64, or if Xen has too little free memory: the control domain's is not taken for it.
 * The domain is gone afterwards, and so are those that a killed vmferry left.
 */
export async function probeXen(guest: ProbeGuest, host: XenHost, context: Context): Promise<Failure | null> {
  const { kernel, memoryBytes } = guest;
  const own = readProcess(process.pid);
  if (own === null) return null;
  if (hasBooted(guest, host) || runsX86_64(kernel) !== true) return null;
  await removeLeftovers(host, context.signal);
  const freeBytes = Number((await readInfo(host, context.signal)).get('free_memory') ?? 0) * MEBIBYTE;
  if (freeBytes < memoryBytes + OVERHEAD_BYTES) return null;
  const directory = await mkdtemp(join(host.environment['TMPDIR'] || tmpdir(), 'vmferry-probe-'));
  try {
    const initrd = join(directory, 'initrd');
    await writeFile(initrd, probeInitrd());
    const definition: GuestDefinition = {
      ...guest,
      name: probeName(own),
      driver: 'xen',
      cpuCount: 1,
      initrd,
      commandLine: ['console=hvc0', 'earlyprintk=xen'],
      disks: [],
    };
    // A domain that crashed stays until its console was read.
    const ends = 'on_poweroff = "destroy"\non_reboot = "destroy"\non_crash = "preserve"\n';
    await writeFile(join(directory, 'config'), writeXenText(definition) + ends);
    const problem = await boot(definition.name, kernel, directory, host, context.signal);
    if (problem === null) await noteBooted(guest, host);
    return problem;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function boot(
  name: string,
  kernel: string,
  directory: string,
  host: XenHost,
  signal: AbortSignal,
): Promise<Failure | null> {
  const program = findProgram(host, 'xl');
  if (program === null) return xlMissing(host);
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
    return verdict(kernel, ending, said(), tail.text);
  } finally {
    await end(name, host, xl);
  }
}

/** Linux could not use the initial RAM disk, and goes no further without a disk. It did run. */
const needsDisk = /VFS: Unable to mount root fs/;

function verdict(kernel: string, ending: string | null, said: string, console: string): Failure | null {
  // Codes of SHUTDOWN_* in xen/include/public/sched.h.
  const reason = /has shut down, reason code (\d+)/.exec(said)?.[1];
  if (reason === '0' || needsDisk.test(console)) return null;
  if (ending === null) return cannotRun(kernel, `it did not end within ${timeoutMs / 1000} s.`, console);
  if (reason === '3') return cannotRun(kernel, 'it crashed.', console);
  if (reason !== undefined) return cannotRun(kernel, `it ended without being told to (${reason}).`, console);
  return cannotRun(kernel, `${complaintOf({ exitStatus: null, stdout: said, stderr: '' })}.`, console);
}

function cannotRun(kernel: string, why: string, console: string): Failure {
  const excerpt = consoleExcerpt(console);
  const shown = excerpt === '' ? '' : ` Its console shows:\n${excerpt}`;
  return new Failure(
    'hypervisor-missing',
    placed`Xen cannot boot the kernel ${kernel} in a guest ${here}: ${why}${shown}`,
    {
      advice: placed`Name a kernel that can be a guest of Xen, with --kernel; on Debian \`${command('apt-get', 'install', 'linux-image-amd64')}\` installs one. \`${command('xl', 'dmesg')}\` may say more.`,
    },
  );
}

/** Returns when there is no such domain, and xl has ended. Never aborted. */
async function end(name: string, host: XenHost, xl: DetachedProcess): Promise<void> {
  const { signal } = new AbortController();
  const isOver = await poll(
    async () => {
      const domid = await domidOf(host, name, signal);
      if (domid !== null) await destroyDomain(host, domid, name, null);
      return domid === null && xl.ended() !== null;
    },
    { timeoutMs: endTimeoutMs, intervalMs, signal },
  );
  if (isOver === null) signalProcess(xl.pid, 'SIGKILL');
  rmSync(consoleLogOf(host, name), { force: true });
}
