import { spawn } from 'node:child_process';

/** A command that runs when this process ends before it was revoked, however it ends. */
export interface LastWill {
  /** To be called once. */
  revoke(): Promise<void>;
}

const revocation = 'revoked';

/**
 * Has a shell wait until this process is gone, killed outright included, and then run the script (of sh, with `args` as
 * its `$1`, `$2`, …). The shell waits for the end of a pipe that only this process holds, in a session of its own, so
 * that Ctrl-C does not end it. Throws Node's own error when it cannot be started.
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
  // Somebody may have killed the shell: then there is nobody to tell.
  child.stdin.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject).once('spawn', () => resolve());
  });
  // It keeps this process from ending no more than it outlives its purpose.
  child.unref();
  return {
    async revoke() {
      child.ref();
      child.stdin.end(`${revocation}\n`);
      await ended;
    },
  };
}
