import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Failure } from '../../../../failure.ts';
import { here, placed } from '../../../../placed-text.ts';
import { errorCode } from '../../../../system/error-code.ts';
import { PROBE_NAME } from '../arguments/command.ts';
import { run } from '../../../../system/processes.ts';

/** It takes half a second, on a busy machine several. */
const timeoutMs = 20_000;
/** With hardware virtualization it is quick, or it is of no use. */
const kvmTimeoutMs = 5_000;

/** The processor writes 16 to the port of the device isa-debug-exit, and QEMU ends with twice the value and one. */
const expectedStatus = 33;

/**
 * A boot sector. A KVM was seen that emulates a processor, and lacks the instruction cmpxchg16b, which Linux needs. So this
 * does what a kernel does first: it opens the A20 gate, makes page tables at 0x1000 (PML4, PDPT, one page of 2 MiB), sets
 * PAE, LME, PE and PG, and jumps to a 64-bit segment. There it runs that instruction, shifts a 64-bit number, and writes what
 * it should become to the port.
 */
const program = Buffer.from(
  [
    'fa31c08ed88ec08ed0bc0070e4920c02e69231c0bf0010b90018fcf3abc70600',
    '100320c70600200330c7060030830066b8001000000f22d80f20e06683c8200f',
    '22e066b9800000c00f32660d000100000f300f0116a87c0f20c0660d01000080',
    '0f22c0ea687c0800bf00800000f0480fc70f660f1f44000048bb887766554433',
    '221148c1eb3cfecbb01000d866baf400eef4ebfd0f1f40000000000000000000',
    'ffff0000009aaf000f00987c',
  ].join(''),
  'hex',
);

export type Accelerator = 'kvm' | 'tcg';

/**
 * Boots a boot sector that ends the machine, to see whether this QEMU runs guests here, and whether the processor's
 * virtualization helps: /dev/kvm can be there and not work. Gives the best way that works, or what is wrong.
 */
export async function probeQemu(
  qemu: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Accelerator | Failure> {
  const isPc = /^(?:qemu-system-(?:x86_64|i386)|qemu|kvm|qemu-kvm)$/.test(basename(qemu));
  // Other processors would need another program.
  if (!isPc) return 'tcg';
  if (canUseKvm() && (await boots(qemu, 'kvm', env, signal)) === null) return 'kvm';
  const problem = await boots(qemu, 'tcg', env, signal);
  return problem === null ? 'tcg' : problem;
}

function canUseKvm(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function boots(
  qemu: string,
  accelerator: Accelerator,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Failure | null> {
  const directory = mkdtempSync(join(env['TMPDIR'] || tmpdir(), 'vmferry-probe-'));
  try {
    const sector = Buffer.alloc(512);
    program.copy(sector);
    sector.writeUInt16LE(0xaa55, 510);
    const disk = join(directory, 'disk');
    writeFileSync(disk, sector);
    const { exitStatus, stderr } = await run(
      qemu,
      [
        '-name',
        PROBE_NAME,
        '-no-user-config',
        '-nodefaults',
        '-display',
        'none',
        '-m',
        '16M',
        '-accel',
        accelerator,
        '-device',
        'isa-debug-exit,iobase=0xf4,iosize=0x04',
        '-drive',
        `file=${disk.replaceAll(',', ',,')},format=raw,if=ide`,
      ],
      { env, signal, timeoutMs: accelerator === 'kvm' ? kvmTimeoutMs : timeoutMs },
    );
    if (exitStatus === expectedStatus) return null;
    return cannotRun(
      qemu,
      exitStatus === null ? `did not finish within ${timeoutMs / 1000} s` : `ended with status ${exitStatus}`,
      stderr,
    );
  } catch (error) {
    signal.throwIfAborted();
    if (errorCode(error) === '') throw error;
    return cannotRun(qemu, `could not be started (${errorCode(error)})`, '');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function cannotRun(qemu: string, ending: string, stderr: string): Failure {
  const said = stderr.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
  return new Failure(
    'hypervisor-missing',
    placed`${qemu} cannot run a guest ${here}: it ${ending}${said === '' ? '' : `: ${said}`}.`,
    { advice: 'Its firmware may be missing. On Debian: `apt-get install qemu-system-x86 seabios`.' },
  );
}
