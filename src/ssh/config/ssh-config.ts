import { Failure } from '../../failure.ts';

/** The ssh configuration for a destination, in the terms of ssh_config(5), with paths expanded. */
export interface SshHost {
  /** As the user typed it. */
  destination: string;
  /** The ssh_config(5) file that was used instead of the user's own. */
  sshConfigFile: string | null;
  /** The port that the user gave, which overrides the configuration. */
  givenPort?: number;
  hostName: string;
  port: number;
  user: string;
  /** Private keys to try, in this order. The files may be missing. */
  identityFiles: readonly string[];
  /** Path of the agent's socket; null: no agent. */
  agentSocket: string | null;
  identitiesOnly: boolean;
  /** User certificates that the configuration names. */
  certificateFiles: readonly string[];
  userKnownHostsFiles: readonly string[];
  globalKnownHostsFiles: readonly string[];
  hostKeyAlias: string | null;
  /** Signature algorithms that ssh accepts for host keys; null if the configuration does not say. */
  hostKeyAlgorithms: readonly string[] | null;
  /** A file of revoked keys: a list of public keys, or a revocation list of ssh-keygen(1). */
  revokedHostKeysFile: string | null;
  /** Options that make ssh trust only known_hosts, by turning off the other sources that are turned on. */
  withKnownHostsOnly: readonly string[];
  /** Comma-separated hops, as for `ssh -J`. Overrides `proxyCommand`. */
  proxyJump: string | null;
  proxyCommand: string | null;
  connectTimeoutMs: number | null;
}

/** Facts that change the meaning of `ssh -G`'s output. */
export interface SshConfigSurroundings {
  destination: string;
  sshConfigFile: string | null;
  homeDirectory: string;
  localUser: string;
  environment: NodeJS.ProcessEnv;
}

const sourcesBesidesKnownHosts = [
  { keyword: 'knownhostscommand', off: 'KnownHostsCommand=none' },
  { keyword: 'verifyhostkeydns', off: 'VerifyHostKeyDNS=no' },
  { keyword: 'nohostauthenticationforlocalhost', off: 'NoHostAuthenticationForLocalhost=no' },
];
/** Characters with a special meaning for a shell; OpenSSH 9.6 and later refuse the same ones. */
// oxlint-disable-next-line no-control-regex -- matches control characters on purpose
const UNSAFE_IN_DESTINATION = /["'`$\\;&<>|(){},\s\u0000-\u001f\u007f]/;

/** The options that ssh needs besides the destination to reach the same host. */
export function optionsFor({
  sshConfigFile,
  givenPort,
}: Pick<SshHost, 'sshConfigFile' | 'givenPort'>): string[] {
  return [
    ...(sshConfigFile === null ? [] : ['-F', sshConfigFile]),
    ...(givenPort === undefined ? [] : ['-p', String(givenPort)]),
  ];
}

/** Throws Failure `usage` for a destination that ssh would take for an option, or that has characters special to a shell. */
export function checkDestination(destination: string): void {
  if (destination !== '' && !destination.startsWith('-') && !UNSAFE_IN_DESTINATION.test(destination)) return;
  throw new Failure('usage', `‘${destination}’ is not a destination for ssh.`, {
    advice: 'Give a host name, an alias of your ssh configuration, or user@host.',
  });
}

/** Parses the output of `ssh -G`: one `keyword value` a line. Unknown keywords are ignored. */
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
    (values.get(keyword) ?? []).filter((name) => name !== 'none').map(path);
  const revokedHostKeys = first('revokedhostkeys');
  return {
    destination,
    sshConfigFile,
    hostName,
    port,
    user,
    identityFiles: paths('identityfile'),
    certificateFiles: paths('certificatefile'),
    agentSocket: agentSocket(values.get('identityagent')?.[0], environment, path),
    identitiesOnly: first('identitiesonly') === 'yes',
    userKnownHostsFiles: severalPaths(first('userknownhostsfile')).map(path),
    globalKnownHostsFiles: severalPaths(first('globalknownhostsfile')).map(path),
    hostKeyAlias,
    hostKeyAlgorithms: first('hostkeyalgorithms')?.split(',') ?? null,
    revokedHostKeysFile: revokedHostKeys === null ? null : path(revokedHostKeys),
    withKnownHostsOnly: sourcesBesidesKnownHosts.flatMap(({ keyword, off }) =>
      ['no', 'false', null].includes(first(keyword)) ? [] : ['-o', off],
    ),
    proxyJump: first('proxyjump'),
    proxyCommand: first('proxycommand'),
    connectTimeoutMs: positiveSecondsAsMs(first('connecttimeout')),
  };
}

/**
 * `ssh -G` prints several paths on one line, separated by blanks, without quoting blanks in paths. So a word begins another path
 * only if it looks like the beginning of an absolute path.
 */
function severalPaths(line: string | null): string[] {
  return (line ?? '').split(/\s+(?=[/~%$])/).filter((path) => path !== '');
}

/** The value of IdentityAgent: a path, `none`, `SSH_AUTH_SOCK`, or `$NAME` of an environment variable. */
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

/** Replaces `%x` by the value of token x. Unknown tokens stay. */
export function expandTokens(template: string, tokens: Readonly<Record<string, string>>): string {
  return template.replace(/%(.)/g, (whole, token: string) => tokens[token] ?? whole);
}
