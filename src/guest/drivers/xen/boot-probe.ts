import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { command, here, placed } from '../../../placed-text.ts';
import { errorCode, errorMessage } from '../../../system/error-code.ts';
import { readProcess } from '../../../system/proc-process.ts';
import type { GuestDefinition } from '../../definition.ts';
import { consoleExcerpt } from '../console-excerpt.ts';
import { readInfo } from './check.ts';
import { findOwnKernel } from './complete.ts';
import { virtualizationOf } from './config/write.ts';
import type { XenHost } from './host/host.ts';
import { runsX86_64 } from './host/kernel-width.ts';
import { hasBooted, noteBooted } from './places/boot-notes.ts';
import { bootOnce, type BootFault, type ProbeGuest } from './probe-domain.ts';
import { removeLeftovers } from './probe-leftovers.ts';

const MEBIBYTE = 2 ** 20;
/** Debian's kernel 6.1 needs 88 MiB to boot. */
const FIRST_BYTES = 128 * MEBIBYTE;
/** No kernel needs more to boot. Xen needs time to prepare a domain's memory. */
const MOST_BYTES = 1024 * MEBIBYTE;
/** What Xen itself needs for a domain, and some more. */
const OVERHEAD_BYTES = 16 * MEBIBYTE;
/**
 * For all attempts together. In an emulated machine a kernel has booted after 8 s, and after 30 s when that is busy. The mover waits two
 * minutes for all checks (src/wire/step-limits.ts).
 */
const timeoutMs = 60_000;

/** What is tried in place of a guest. */
export interface Trial extends Pick<ProbeGuest, 'kernel' | 'virtualization'> {
  /** The name of the guest. */
  name: string;
  /** Whether the kernel is one of this machine, because that of the guest is on its disk. */
  isStandIn: boolean;
  /** Memory for each attempt. The kernel is tried with the next amount if it does not boot with the one before. */
  memoryBytes: readonly number[];
}

/**
 * What stands for the guest; null if it cannot be tried. A guest of the type HVM would need a QEMU, and starts in its firmware. The kernel
 * of a guest with a boot loader is on its disk, which is not here yet: this machine's own kernel shows that Xen boots guests at all.
 */
export function trialOf(
  definition: GuestDefinition,
  { kernelDirectory }: Pick<XenHost, 'kernelDirectory'>,
): Trial | null {
  const { name, boot = 'kernel' } = definition;
  const virtualization = virtualizationOf(definition);
  if (virtualization === 'hvm' || process.arch !== 'x64') return null;
  const isStandIn = boot === 'boot-loader';
  const kernel = isStandIn ? (findOwnKernel(kernelDirectory)?.kernel ?? null) : definition.kernel;
  if (kernel === null) return null;
  // The guest's memory is enough for its own kernel, not for another one.
  const guestBytes = isStandIn ? FIRST_BYTES : (definition.memoryBytes ?? FIRST_BYTES);
  const memoryBytes = [FIRST_BYTES, MOST_BYTES].map((most) => Math.min(guestBytes, most));
  return { name, kernel, virtualization, isStandIn, memoryBytes: [...new Set(memoryBytes)] };
}

/**
 * Boots a kernel in a domain without disks for a moment, to see whether Xen can run it here. Gives what is wrong; null if it works or has
 * worked before, or if that cannot be found out: nobody knows whether it is a kernel for x86-64, or Xen has too little free memory (the control
 * domain's is not taken for it). Whatever else prevents the trial is reported as a warning, and never stops the guest.
 * The domain is gone afterwards, and so are those that a killed vmferry left.
 */
export async function probeXen(trial: Trial, host: XenHost, context: Context): Promise<Failure | null> {
  try {
    return await attemptAll(trial, host, context);
  } catch (error) {
    context.signal.throwIfAborted();
    const isStuck = error instanceof Failure && error.code === 'halt-failed';
    const isOfSystem = !(error instanceof Failure) && errorCode(error) !== '';
    if (!isStuck && !isOfSystem) throw error;
    warn(
      context,
      `The kernel of ${trial.name} could not be tried with Xen: ${withFullStop(errorMessage(error))}`,
    );
    return null;
  }
}

async function attemptAll(trial: Trial, host: XenHost, context: Context): Promise<Failure | null> {
  const { kernel, virtualization, memoryBytes: amounts } = trial;
  const own = readProcess(process.pid);
  if (own === null) return null;
  const guests = amounts.map((memoryBytes) => ({ kernel, virtualization, memoryBytes }));
  if (guests.some((guest) => hasBooted(guest, host)) || runsX86_64(kernel) !== true) return null;
  const deadline = performance.now() + timeoutMs;
  await removeLeftovers(host, context);
  let fault: BootFault | null = null;
  for (const guest of guests) {
    const leftMs = deadline - performance.now();
    const freeBytes = await readFreeBytes(host, context.signal);
    if (leftMs <= 0 || freeBytes < guest.memoryBytes + OVERHEAD_BYTES) break;
    const found = await bootOnce(guest, own, leftMs, host, context);
    if (found === null) {
      await noteBooted(guest, host);
      return null;
    }
    if (trial.isStandIn) {
      warn(context, doubtOfStandIn(trial, found));
      return null;
    }
    // A second attempt has less time than the first, so that it proves nothing by running out of it.
    const isSure = fault === null || performance.now() < deadline;
    if (guest === guests.at(-1) && isSure) return cannotRun(kernel, found);
    fault ??= found;
  }
  if (fault !== null) warn(context, doubtOfMemory(trial, fault));
  return null;
}

async function readFreeBytes(host: XenHost, signal: AbortSignal): Promise<number> {
  return Number((await readInfo(host, signal)).get('free_memory') ?? 0) * MEBIBYTE;
}

function cannotRun(kernel: string, { why, console }: BootFault): Failure {
  return new Failure(
    'hypervisor-missing',
    placed`Xen cannot boot the kernel ${kernel} in a guest ${here}: ${why}${shown(console)}`,
    {
      advice: placed`Name a kernel that can be a guest of Xen, with --kernel; on Debian \`${command('apt-get', 'install', 'linux-image-amd64')}\` installs one. \`${command('xl', 'dmesg')}\` may say more.`,
    },
  );
}

/** The kernel did not boot with less memory than the guest has, and could not be tried with more. */
function doubtOfMemory(
  { name, kernel, memoryBytes: [first = 0] }: Trial,
  { why, console }: BootFault,
): string {
  return `It is not known whether Xen can boot the kernel ${kernel} of ${name}. It was tried with ${first / MEBIBYTE} MiB of memory, less than ${name} has, and did not boot: ${why}${shown(console)}`;
}

function doubtOfStandIn({ name, kernel }: Trial, { why, console }: BootFault): string {
  return `It is not known whether Xen can boot ${name}, whose kernel is on its own disk. The new machine’s own kernel ${kernel} was tried instead, and did not boot: ${why}${shown(console)}`;
}

function shown(console: string): string {
  const excerpt = consoleExcerpt(console);
  return excerpt === '' ? '' : ` Its console shows:\n${excerpt}`;
}

function warn({ report }: Context, message: string): void {
  report({ type: 'warning', code: 'other', message });
}

function withFullStop(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
