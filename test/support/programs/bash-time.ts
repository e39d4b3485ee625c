import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { text } from 'node:stream/consumers';

export interface TakenTime {
  wallSeconds: number;
  /** CPU time of the command and of all that it started and waited for. */
  cpuSeconds: number;
}

/**
 * Runs a command line of bash, and returns its times as bash's `time` measures them. If it fails, throws all
 * that it printed. The program does not get Jest's options.
 */
export async function timeCommand(
  command: string,
  environment: Readonly<Record<string, string>>,
): Promise<TakenTime> {
  const script = `set -o pipefail; TIMEFORMAT='%R %U %S'; time { ${command}; } 2>&1`;
  const child = spawn('bash', ['-c', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', LC_ALL: 'C', ...environment },
  });
  const [output, times, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  if (status !== 0) throw new Error(`${command}: exit ${status}\n${output}${times}`);
  const [wallSeconds = NaN, userSeconds = NaN, systemSeconds = NaN] = times.trim().split(' ').map(Number);
  return { wallSeconds, cpuSeconds: userSeconds + systemSeconds };
}
