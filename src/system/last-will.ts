import { spawn } from 'node:child_process';

/** A command that runs when this process ends, however it ends, unless it was revoked before. */
export interface LastWill {
  /** To be called once. */
  revoke(): Promise<void>;
}

const revocation = 'revoked';

/**
 * Starts a shell that waits until this process is gone, even by SIGKILL, and then runs the script (for sh, with `args` as `$1`,
 * `$2`, …). The shell waits for the end of a pipe that only this process holds, and has a session of its own, so that Ctrl-C
 * does not end it. Throws Node's own error when it cannot be started.
 */
export async function writeLastWill(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<LastWill> {
  const waiting = `read -r word; [ "$word" = ${revocation} ] && exit 0\n${script}`;
  const child = spawn('/bin/sh', ['-c', waiting, 'vmferry-last-will', ...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    env,
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  // An error means that the shell was killed, so it need not be told anything.
  child.stdin.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject).once('spawn', () => resolve());
  });
  // The shell must not keep this process from ending.
  child.unref();
  return {
    async revoke() {
      child.ref();
      child.stdin.end(`${revocation}\n`);
      await ended;
    },
  };
}
