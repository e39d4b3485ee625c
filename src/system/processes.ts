import { spawn, type ChildProcessByStdio } from 'node:child_process';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { orShortage } from '../failure.ts';

export interface CommandResult {
  /** Null when a signal ended the program, or it could not be started. */
  exitStatus: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
  env?: NodeJS.ProcessEnv;
}

/**
 * Runs a program to its end, without a shell and without standard input, and returns what it printed. Does not throw for an exit
 * status other than 0. Throws Node's own error (`code` ENOENT, EACCES, ABORT_ERR) when the program cannot be started or is
 * aborted; an abort also ends the processes that it started. After `timeoutMs` it is killed.
 */
export function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      // A session of its own, so that Ctrl-C reaches only vmferry itself.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    // Not the option of spawn: its timer runs on after a program that could not be started, and keeps this process alive.
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (error) => {
      if (child.pid === undefined) clearTimeout(timer);
      if (options.signal?.aborted === true) endGroup(child);
      reject(orShortage(error) as Error);
    });
    child.on('exit', () => clearTimeout(timer));
    child.on('close', (exitStatus) => {
      resolve({ exitStatus, stdout, stderr });
    });
  });
}

/** Ends the processes that the program started. They would live on, and keep this process waiting for their output. */
function endGroup(child: ChildProcessByStdio<null, Readable, Readable>): void {
  child.stdout.destroy();
  child.stderr.destroy();
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    // All of them have ended.
  }
}
