import { homedir, userInfo } from 'node:os';
import { Failure } from '../failure.ts';
import { run, type CommandResult } from './processes.ts';

/** Who and where a destination is, in OpenSSH's own words (ssh_config(5)), with paths expanded. */
export interface SshHost {
  /** As the person typed it. */
  destination: string;
  /** The ssh_config(5) file that was used instead of the person's own. */
  sshConfigFile: string | null;
  /** The port that was asked for, apart from any configuration. */
  givenPort?: number;
  hostName: string;
  port: number;
  user: string;
  /** Private keys to try, in this order; they need not exist. */
  identityFiles: readonly string[];
  /** Path of the agent's socket; null: use no agent. */
  agentSocket: string | null;
  identitiesOnly: boolean;
  userKnownHostsFiles: readonly string[];
  globalKnownHostsFiles: readonly string[];
  hostKeyAlias: string | null;
  /** Comma-separated hops as `ssh -J` takes them. Wins over `proxyCommand`. */
  proxyJump: string | null;
  proxyCommand: string | null;
  connectTimeoutMs: number | null;
}

/** What the answer of `ssh -G` depends on besides its text. */
export interface SshConfigSurroundings {
  destination: string;
  sshConfigFile: string | null;
  homeDirectory: string;
  localUser: string;
  environment: NodeJS.ProcessEnv;
}

/** `ssh -G` may run the commands of `Match exec`; this bounds them. */
const ANSWER_TIMEOUT_MS = 20_000;
/** What a shell could take for more than a name; OpenSSH 9.6 and later refuse the same. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNSAFE_IN_DESTINATION = /["'`$\\;&<>|(){},\s\u0000-\u001f\u007f]/;

/**
 * Asks OpenSSH (`ssh -G`) who the destination is. Connects to nothing. Throws Failure `usage` for a destination
 * or a configuration that OpenSSH does not take.
 */
export async function readSshHost(
  destination: string,
  sshConfigFile: string | null,
  signal: AbortSignal,
  givenPort: number | null = null,
): Promise<SshHost> {
  checkDestination(destination);
  const given = givenPort === null ? {} : { givenPort };
  const args = [...optionsFor({ sshConfigFile, ...given }), '-G', '--', destination];
  const answer = await askSsh(args, signal);
  if (answer.exitStatus !== 0)
    throw new Failure(
      'usage',
      `ssh does not take ‘${destination}’: ${answer.stderr.trim() || 'no reason given'}`,
      {
        advice: `Check the name and your ssh configuration with: ssh ${args.join(' ')}`,
      },
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

/** What ssh has to be told besides the destination to mean the same host. */
export function optionsFor({
  sshConfigFile,
  givenPort,
}: Pick<SshHost, 'sshConfigFile' | 'givenPort'>): string[] {
  return [
    ...(sshConfigFile === null ? [] : ['-F', sshConfigFile]),
    ...(givenPort === undefined ? [] : ['-p', String(givenPort)]),
  ];
}

async function askSsh(args: readonly string[], signal: AbortSignal): Promise<CommandResult> {
  try {
    return await run('ssh', args, { signal, timeoutMs: ANSWER_TIMEOUT_MS });
  } catch (cause) {
    signal.throwIfAborted();
    throw new Failure('host-unreachable', 'The program ssh cannot be started here.', {
      advice: 'Install OpenSSH’s client: apt-get install openssh-client',
      cause,
    });
  }
}

/** Throws Failure `usage` for what ssh would take for an option, or a shell for more than a name. */
export function checkDestination(destination: string): void {
  if (destination !== '' && !destination.startsWith('-') && !UNSAFE_IN_DESTINATION.test(destination)) return;
  throw new Failure('usage', `‘${destination}’ is not a destination for ssh.`, {
    advice: 'Give a host name, an alias of your ssh configuration, or user@host.',
  });
}

/** Reads what `ssh -G` printed: one `keyword value` a line, keywords in small letters; unknown ones are ignored. */
export function parseSshConfig(text: string, surroundings: SshConfigSurroundings): SshHost {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space <= 0) continue;
    const keyword = line.slice(0, space).toLowerCase();
    values.set(keyword, [...(values.get(keyword) ?? []), line.slice(space + 1).trim()]);
  }
  const first = (keyword: string): string | null => {
    const value = values.get(keyword)?.[0] ?? '';
    return value === '' || value === 'none' ? null : value;
  };
  const { destination, sshConfigFile, environment, homeDirectory, localUser } = surroundings;
  const hostName = first('hostname') ?? destination;
  const port = Number(first('port') ?? '22');
  const user = first('user') ?? localUser;
  const hostKeyAlias = first('hostkeyalias');
  const tokens = {
    '%': '%',
    d: homeDirectory,
    h: hostName,
    k: hostKeyAlias ?? first('host') ?? destination,
    n: first('host') ?? destination,
    p: String(port),
    r: user,
    u: localUser,
  };
  const path = (value: string): string =>
    expandTokens(value.replace(/^~(?=\/|$)/, homeDirectory), tokens).replace(
      /\$\{(\w+)\}/g,
      (_, name: string) => environment[name] ?? '',
    );
  const paths = (keyword: string): string[] =>
    (first(keyword) ?? '')
      .split(/\s+/)
      .filter((name) => name !== '' && name !== 'none')
      .map(path);
  return {
    destination,
    sshConfigFile,
    hostName,
    port,
    user,
    identityFiles: (values.get('identityfile') ?? []).filter((name) => name !== 'none').map(path),
    agentSocket: agentSocket(values.get('identityagent')?.[0], environment, path),
    identitiesOnly: first('identitiesonly') === 'yes',
    userKnownHostsFiles: paths('userknownhostsfile'),
    globalKnownHostsFiles: paths('globalknownhostsfile'),
    hostKeyAlias,
    proxyJump: first('proxyjump'),
    proxyCommand: first('proxycommand'),
    connectTimeoutMs: positiveSecondsAsMs(first('connecttimeout')),
  };
}

/** IdentityAgent: a path, `none`, `SSH_AUTH_SOCK`, or `$NAME` of an environment variable. */
function agentSocket(
  setting: string | undefined,
  environment: NodeJS.ProcessEnv,
  path: (value: string) => string,
): string | null {
  if (setting === 'none') return null;
  if (setting === undefined || setting === '' || setting === 'SSH_AUTH_SOCK')
    return environment['SSH_AUTH_SOCK'] || null;
  if (/^\$\w+$/.test(setting)) return environment[setting.slice(1)] || null;
  return path(setting);
}

function positiveSecondsAsMs(seconds: string | null): number | null {
  const value = Number(seconds ?? '0');
  return value > 0 ? value * 1000 : null;
}

/** Replaces `%x` by the token's value; an unknown token stays as it is. */
export function expandTokens(template: string, tokens: Readonly<Record<string, string>>): string {
  return template.replace(/%(.)/g, (whole, token: string) => tokens[token] ?? whole);
}
