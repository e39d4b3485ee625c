import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { writeLastWill } from '../../../src/system/last-will.ts';
import { waitByCpuTime } from './wait-by-cpu-time.ts';

/** An emulated machine. Disposing it kills QEMU and removes its directory; so does the end of this process. */
export interface QemuProcess extends AsyncDisposable {
  pid: number;
  /** What the machine wrote to its first serial line. */
  console(): string;
  /** How it ended, with QEMU's own message; null while it runs. */
  ended(): string | null;
  /** Waits as `waitByCpuTime` does. A kernel that panics ends the wait. */
  waitFor<Answer>(
    what: string,
    cpuSeconds: number,
    ask: () => Answer | null | false | Promise<Answer | null | false>,
  ): Promise<Answer>;
}

/** No memory for QEMU's default of 1 GiB of translated code; more than this is not faster. */
const emulation = ['-accel', 'tcg,tb-size=256', '-nodefaults', '-display', 'none', '-no-reboot'];
const panic = /Kernel panic - not syncing.*|Panic on CPU \d+:[^\0]*?\(XEN\) (.*)/;

/** A directory for a machine's files. `startQemu` removes it. */
export function makeMachineDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'vmferry-qemu-'));
}

/** Starts QEMU without any hardware virtualization. `directory` is from `makeMachineDirectory`, and may hold its disks. */
export async function startQemu(directory: string, args: readonly string[]): Promise<QemuProcess> {
  const consoleLog = join(directory, 'console.log');
  const will = await writeLastWill('rm -rf "$1"', [directory], process.env);
  // The kernel kills it when this process ends, however that ends.
  const command = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...emulation];
  const qemu = spawn('setpriv', [...command, '-serial', `file:${consoleLog}`, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: directory,
  });
  let message = '';
  let ending: string | null = null;
  qemu.stderr.setEncoding('utf8').on('data', (text: string) => (message += text));
  const end = (how: string): void => void (ending = `QEMU ${how} ${message}`.trimEnd());
  const closed = new Promise<void>((resolve) => {
    qemu.on('error', (error) => (end(`could not be started: ${error.message}`), resolve()));
    qemu.on('close', (status, signal) => (end(`ended (${signal ?? status})`), resolve()));
  });
  await Promise.race([once(qemu, 'spawn'), closed]);
  const { pid = 0 } = qemu;
  const console = () => (existsSync(consoleLog) ? readFileSync(consoleLog, 'latin1') : '');
  const ended = () => ending;
  return {
    pid,
    console,
    ended,
    waitFor: (what, cpuSeconds, ask) =>
      waitByCpuTime(what, ask, {
        pid,
        cpuSeconds,
        hopeless: () => ending ?? panic.exec(console())?.[0] ?? null,
        lastWords: () => console().slice(-2000),
      }),
    async [Symbol.asyncDispose]() {
      qemu.kill('SIGKILL');
      await closed;
      await rm(directory, { recursive: true, force: true });
      await will.revoke();
    },
  };
}
