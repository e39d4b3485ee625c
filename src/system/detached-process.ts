import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface DetachedOptions {
  /** Where its output is appended to; made with mode 0600 when it is not there. */
  outputFile: string;
  workingDirectory: string;
  env: NodeJS.ProcessEnv;
}

export interface DetachedProcess {
  /** Also the id of the session that it leads. */
  pid: number;
  /** Why it is no longer there, in words for people; null while it is. */
  ended(): string | null;
}

/**
 * Starts a program that goes on when this one ends: in a session of its own, without a terminal, with nothing to
 * read. Throws Node's own error (`code` ENOENT, EACCES) when it cannot be started.
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
