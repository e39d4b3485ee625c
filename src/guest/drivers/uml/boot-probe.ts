import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../../failure.ts';
import { here, placed } from '../../../placed-text.ts';
import { startDetached } from '../../../system/detached-process.ts';
import { errorCode } from '../../../system/error-code.ts';
import { consoleExcerpt } from '../console-excerpt.ts';
import { poll } from '../../../pipeline/polling.ts';
import { probeInitrd } from '../../initrd/probe-initrd.ts';
import type { UmlHost } from './host.ts';
import { endSession } from './session.ts';

const timeoutMs = 60_000;
const intervalMs = 20;

/**
 * What the kernel prints when its program switches it off. Afterwards it ends, sometimes by an abort that means
 * nothing.
 */
const switchedOff = /\breboot: (?:System halted|Power down)/;

/**
 * Boots the kernel for about a second, without a disk, to see whether it can run a program on this machine. An installed
 * kernel may fail: tracing may be forbidden, shared memory may not be executable, or the processor may be too new. Gives
 * what is wrong; null when it works, or when it cannot be tried because it is not an x86-64 kernel.
 */
export async function probeUmlKernel(
  kernel: string,
  host: UmlHost,
  signal: AbortSignal,
): Promise<Failure | null> {
  if (!isTryable(kernel)) return null;
  // A kernel sometimes ends for no reason (see startUml).
  const problem = await probeOnce(kernel, host, signal);
  return problem === null ? null : probeOnce(kernel, host, signal);
}

async function probeOnce(kernel: string, host: UmlHost, signal: AbortSignal): Promise<Failure | null> {
  const directory = mkdtempSync(join(host.environment['TMPDIR'] || tmpdir(), 'vmferry-probe-'));
  const consoleLog = join(directory, 'console');
  const initrd = join(directory, 'initrd');
  writeFileSync(initrd, probeInitrd());
  const args = [
    // With 64 MiB, 25 to 32 of 60 boots from an initial RAM disk failed (startUml says why); with 128 MiB none.
    'mem=128M',
    `initrd=${initrd}`,
    'umid=probe',
    `uml_dir=${directory}`,
    'con=null',
    'con0=null,fd:1',
    'noreboot',
    // Without this, the kernel spends most of the time on comparing ways to compute a RAID.
    'initcall_blacklist=raid6_select_algo',
  ];
  const console = (): string => readFileSync(consoleLog, 'utf8');
  try {
    const options = { outputFile: consoleLog, workingDirectory: '/', env: host.environment };
    const started = await startDetached(kernel, args, options);
    try {
      const ending = await poll(() => (switchedOff.test(console()) ? 'switched off' : started.ended()), {
        timeoutMs,
        intervalMs,
        signal,
      });
      // A script that starts the kernel may redirect its console.
      if (ending === 'switched off' || ending === 'ended with status 0') return null;
      return cannotRun(kernel, ending ?? `did not finish within ${timeoutMs / 1000} s`, console());
    } finally {
      await endSession(started.pid, { ...host, directory });
    }
  } catch (error) {
    signal.throwIfAborted();
    if (errorCode(error) === '') throw error;
    return cannotRun(kernel, `could not be started (${errorCode(error)})`, '');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Byte 18 of an ELF file names the processor. Any other file is a script that starts a kernel. */
function isTryable(kernel: string): boolean {
  const header = Buffer.alloc(20);
  const fd = openSync(kernel, 'r');
  try {
    readSync(fd, header, 0, header.length, 0);
  } finally {
    closeSync(fd);
  }
  const isElf = header.toString('latin1', 0, 4) === '\x7FELF';
  return process.arch === 'x64' && (!isElf || header.readUInt16LE(18) === 62);
}

function cannotRun(kernel: string, ending: string, log: string): Failure {
  const excerpt = consoleExcerpt(log);
  const shown = excerpt === '' ? '' : ` Its console shows:\n${excerpt}`;
  const advice = log.includes('ptrace set fp regs failed')
    ? 'This processor has registers (AMX) that User Mode Linux before 6.13 does not know: install a later one.'
    : 'User Mode Linux needs to trace processes (ptrace), and room for the guest’s memory in /dev/shm or TMPDIR from which programs may run.';
  return new Failure(
    'hypervisor-missing',
    placed`The kernel ${kernel} cannot run a guest ${here}: it ${ending}.${shown}`,
    {
      advice,
    },
  );
}
