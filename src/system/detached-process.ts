import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface DetachedOptions {
  /** Its output is appended to this file, which is made with mode 0600 when missing. */
  outputFile: string;
  workingDirectory: string;
  env: NodeJS.ProcessEnv;
}

export interface DetachedProcess {
  /** Also its session id. */
  pid: number;
  /** How it ended, as a clause for messages; null while it runs. */
  ended(): string | null;
}

/**
 * Starts a program that outlives this one: in a session of its own, without terminal and input. Throws Node's own error (`code`
 * ENOENT, EACCES) when it cannot be started.
 */
export async function startDetached(
  program: string,
  args: readonly string[],
  options: DetachedOptions,
): Promise<DetachedProcess> {
  const output = openSync(options.outputFile, 'a', 0o600);
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', output, output],
      cwd: options.workingDirectory,
      env: options.env,
    });
    let ending: string | null = null;
    child.once('exit', (status, signal) => {
      ending = signal === null ? `ended with status ${status}` : `was ended by ${signal}`;
    });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('error', reject).once('spawn', () => resolve(child.pid ?? 0));
    });
    child.unref();
    return { pid, ended: () => ending };
  } finally {
    closeSync(output);
  }
}
