import { homedir, userInfo } from 'node:os';
import { Failure } from '../../failure.ts';
import { run, type CommandResult } from '../../system/processes.ts';
import { checkDestination, optionsFor, parseSshConfig, type SshHost } from './ssh-config.ts';
import { shellLine } from '../../quote-for-shell.ts';

export interface ReadSshHostOptions {
  /** An ssh_config(5) file to use instead of the user's own. */
  sshConfigFile: string | null;
  /** Overrides the configuration. */
  givenPort?: number | null;
  /** Two minutes unless given; shorter in tests. */
  answerLimitMs?: number;
}

/** `ssh -G` runs the commands of `Match exec`, which may ask another machine. This limits a command that hangs. */
const ANSWER_LIMIT_MS = 120_000;

/**
 * Asks OpenSSH (`ssh -G`) for the configuration of a destination, without connecting. Throws Failure `usage` for a destination
 * or a configuration that OpenSSH does not accept, and `host-unreachable` if there is no ssh, or no answer in time.
 */
export async function readSshHost(
  destination: string,
  { sshConfigFile, givenPort = null, answerLimitMs = ANSWER_LIMIT_MS }: ReadSshHostOptions,
  signal: AbortSignal,
): Promise<SshHost> {
  checkDestination(destination);
  const given = givenPort === null ? {} : { givenPort };
  const args = [...optionsFor({ sshConfigFile, ...given }), '-G', '--', destination];
  const answer = await askSsh(args, signal, answerLimitMs);
  if (answer.exitStatus !== 0)
    throw new Failure(
      'usage',
      `ssh does not accept ‘${destination}’: ${answer.stderr.trim() || 'no reason given'}`,
      { advice: `Check the name and your ssh configuration with: ${shellLine(['ssh', ...args])}` },
    );
  const host = parseSshConfig(answer.stdout, {
    destination,
    sshConfigFile,
    homeDirectory: homedir(),
    localUser: userInfo().username,
    environment: process.env,
  });
  return { ...host, ...given };
}

async function askSsh(args: readonly string[], signal: AbortSignal, limitMs: number): Promise<CommandResult> {
  const limit = AbortSignal.timeout(limitMs);
  try {
    return await run('ssh', args, { signal: AbortSignal.any([signal, limit]) });
  } catch (cause) {
    signal.throwIfAborted();
    if (limit.aborted) throw tooSlow(args, limitMs);
    if (cause instanceof Failure) throw cause;
    throw new Failure('host-unreachable', 'The program ssh cannot be started here.', {
      advice: 'Install OpenSSH’s client: apt-get install openssh-client',
      cause,
    });
  }
}

function tooSlow(args: readonly string[], limitMs: number): Failure {
  return new Failure(
    'host-unreachable',
    `ssh did not read its configuration within ${limitMs / 1000} s, which is the limit. ` +
      'Usually a command of ‘Match exec’ in the configuration hangs.',
    { advice: `See how long it takes with: time ${shellLine(['ssh', ...args])}`, transient: true },
  );
}
