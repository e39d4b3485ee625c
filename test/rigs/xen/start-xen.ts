import process from 'node:process';
import { join } from 'node:path';
import { Resources } from '../../../src/pipeline/resources.ts';
import { shellLine } from '../../../src/quote-for-shell.ts';
import type { CommandResult } from '../../../src/system/processes.ts';
import { freePort } from '../../support/ssh/ssh-server.ts';
import { GUEST_PORT } from '../../support/guests/uml-guest.ts';
import { toolsMissing } from '../../support/programs/tools.ts';
import { succeed } from '../base/command.ts';
import { makeMachineDirectory, type QemuProcess } from '../base/qemu-process.ts';
import { takeSlot } from '../base/slots.ts';
import { guestKernelMissing } from '../kernel/guest-kernel.ts';
import { dom0Build, type Dom0Build } from './dom0-build.ts';
import { connectToDom0, DOM0_ALIAS, type Dom0Ssh } from './dom0-ssh.ts';
import { EXTRA_DISK_BYTES, startMachine } from './machine.ts';
import { makeBlankDisk, makeProgramDisk } from './program-disk.ts';
import { makeOverlay, savedDom0 } from './saved-dom0.ts';

/** Memory and processor time of this machine suffice for so many. */
const mostAtOnce = 2;
const restoreCpuSeconds = 60;
const commandCpuSeconds = 120;

export interface XenOptions {
  /** A raw file that becomes /dev/vdc; it must have EXTRA_DISK_BYTES. An empty one unless given. */
  extraDisk?: string;
}

export interface Dom0CommandOptions {
  /** The limit in seconds of QEMU's CPU time; 120 unless given. */
  cpuSeconds?: number;
}

/** A machine with Xen, and its dom0, which is Debian with xl, Node and vmferry. Its guests are in 10.0.2.0/24, like dom0. */
export interface Dom0 extends AsyncDisposable {
  qemu: QemuProcess;
  /** For `ssh -F sshConfigFile alias`, and `vmferry migrate --to alias -F sshConfigFile`. */
  sshConfigFile: string;
  alias: string;
  /** In dom0, of the kernel and the initrd for its guests. */
  guestKernel: { kernel: string; initrd: string };
  /** Outside dom0: the file that is /dev/vdc in it. */
  extraDisk: string;
  /** Returns what the command printed to standard output; throws if it fails. */
  run(command: string, args?: readonly string[], options?: Dom0CommandOptions): Promise<string>;
  /** The same, but returns how it ended, whatever that is. */
  attempt(command: string, args?: readonly string[], options?: Dom0CommandOptions): Promise<CommandResult>;
  /** Copies a file into dom0. Holes stay holes. */
  put(file: string, path: string): Promise<void>;
  /** Writes a text file in dom0. */
  write(path: string, text: string): Promise<void>;
  /** What Xen and dom0 wrote to the serial line since the restore. */
  console(): string;
  /** What a guest wrote to its console since dom0 was restored. */
  guestConsole(name: string): Promise<string>;
  /** Waits until the console of a guest has the text. Ends early when the guest is gone. */
  waitForGuest(name: string, text: string, cpuSeconds?: number): Promise<string>;
  /** The line with which a test guest answers at this address (GuestNetwork in uml-guest.ts). */
  answerOf(address: string): Promise<string>;
  /** Waits until there is no domain of that name, and no loop device any more. */
  waitUntilGone(name: string, cpuSeconds?: number): Promise<void>;
}

/** These wait in dom0 itself, and seldom run xl: each program that is started there costs the guest time. */
const waitForText = `
log="/var/log/xen/console/guest-$1.log" round=0
until grep -qF "$2" "$log" 2>/dev/null; do
  round=$((round + 1))
  [ $((round % 5)) = 0 ] && ! xl domid "$1" >/dev/null 2>&1 && exec grep -qF "$2" "$log"
  sleep 1
done`;
const waitForEnd =
  'while xl domid "$1" >/dev/null 2>&1 || [ -n "$(losetup --list --noheadings)" ]; do sleep 2; done';

/** Why no Xen can run here; null when one can. */
export function xenMissing(): string | null {
  if (process.getuid?.() !== 0) return 'only root can build a dom0';
  return (
    guestKernelMissing() ??
    toolsMissing(
      'mmdebstrap',
      'qemu-system-x86_64',
      'qemu-img',
      'mke2fs',
      'zstd',
      'ssh',
      'ssh-keygen',
      'setpriv',
    )
  );
}

/** Restores a dom0. What is missing for it is built first, which takes minutes. */
export async function startXen({ extraDisk }: XenOptions = {}): Promise<Dom0> {
  const build = await dom0Build();
  const saved = await savedDom0(build);
  await using resources = new Resources();
  resources.hold(await takeSlot('xen', mostAtOnce));
  const directory = await makeMachineDirectory();
  const disks = {
    root: join(directory, 'root.qcow2'),
    program: join(directory, 'program.img'),
    extra: extraDisk ?? join(directory, 'extra.img'),
  };
  await makeOverlay(disks.root, saved.rootDisk, 'qcow2');
  await makeProgramDisk(disks.program);
  if (extraDisk === undefined) await makeBlankDisk(disks.extra, EXTRA_DISK_BYTES);
  const port = await freePort();
  const qemu = resources.hold(await startMachine(directory, build, disks, port, saved.stateFile));
  const ssh = resources.hold(await connectToDom0(directory, build, port, qemu, restoreCpuSeconds));
  const dom0 = dom0Of(build, qemu, ssh, disks.extra);
  await dom0.run('date', ['-s', `@${Math.round(Date.now() / 1000)}`]);
  await dom0.run('mount', ['-o', 'ro', '/dev/vdb', '/opt/vmferry']);
  const held = resources.release();
  return { ...dom0, [Symbol.asyncDispose]: () => held[Symbol.asyncDispose]() };
}

function dom0Of(
  build: Dom0Build,
  qemu: QemuProcess,
  ssh: Dom0Ssh,
  extraDisk: string,
): Omit<Dom0, keyof AsyncDisposable> {
  const attempt: Dom0['attempt'] = async (command, args = [], { cpuSeconds = commandCpuSeconds } = {}) => {
    const words = [command, ...args];
    const aborter = new AbortController();
    let result: CommandResult | null = null;
    const running = ssh.run(words, aborter.signal).then((ended) => (result = ended));
    try {
      return await qemu.waitFor(shellLine(words), cpuSeconds, () => result);
    } catch (error) {
      aborter.abort();
      await running.catch(() => {});
      throw error;
    }
  };
  const run: Dom0['run'] = async (command, args = [], options = {}) => {
    const { exitStatus, stdout, stderr } = await attempt(command, args, options);
    if (exitStatus === 0) return stdout;
    throw new Error(`dom0: ${shellLine([command, ...args])} failed (${exitStatus}): ${stderr || stdout}`);
  };
  const guestConsole = async (name: string) =>
    (await attempt('cat', [`/var/log/xen/console/guest-${name}.log`])).stdout;
  const { version } = build.kernel;
  return {
    qemu,
    sshConfigFile: ssh.clientFiles.sshConfigFile,
    alias: DOM0_ALIAS,
    guestKernel: { kernel: `/boot/vmlinuz-${version}`, initrd: `/boot/initrd.img-${version}` },
    extraDisk,
    run,
    attempt,
    guestConsole,
    console: () => qemu.console(),
    put: async (file, path) => {
      const script = 'file=$1; shift; zstd -qc "$file" | ssh "$@"';
      const there = shellLine(['zstd', '-dqf', '--sparse', '-o', path]);
      await succeed('sh', ['-c', script, 'sh', file, ...ssh.arguments, there]);
    },
    write: async (path, text) => {
      await run('sh', ['-c', 'printf "%s\\n" "$2" >"$1"', 'sh', path, text]);
    },
    answerOf: (address) => {
      const netcat = ['nc', '-w', '3', address, String(GUEST_PORT)];
      return qemu.waitFor(
        `an answer of ${address}`,
        commandCpuSeconds,
        async () => (await attempt('busybox', netcat)).stdout.trim() || null,
      );
    },
    waitForGuest: async (name, text, cpuSeconds = commandCpuSeconds) => {
      const { exitStatus } = await attempt('sh', ['-c', waitForText, 'sh', name, text], { cpuSeconds });
      const console = await guestConsole(name);
      if (exitStatus === 0) return console;
      throw new Error(`the guest ${name} was gone before it said ${text}: ${console.slice(-2000)}`);
    },
    waitUntilGone: async (name, cpuSeconds = commandCpuSeconds) => {
      await run('sh', ['-c', waitForEnd, 'sh', name], { cpuSeconds });
    },
  };
}
