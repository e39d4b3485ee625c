import { Failure } from '../../failure.ts';

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
  /** User certificates that the configuration names. */
  certificateFiles: readonly string[];
  userKnownHostsFiles: readonly string[];
  globalKnownHostsFiles: readonly string[];
  hostKeyAlias: string | null;
  /** What ssh takes for a host key's proof; null where it does not say. */
  hostKeyAlgorithms: readonly string[] | null;
  /** Keys that no host may show: a list of public keys, or a revocation list of ssh-keygen(1). */
  revokedHostKeysFile: string | null;
  /** Options for ssh that turn off all it trusts host keys by besides known_hosts, where that is turned on. */
  withKnownHostsOnly: readonly string[];
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

const sourcesBesidesKnownHosts = [
  { keyword: 'knownhostscommand', off: 'KnownHostsCommand=none' },
  { keyword: 'verifyhostkeydns', off: 'VerifyHostKeyDNS=no' },
  { keyword: 'nohostauthenticationforlocalhost', off: 'NoHostAuthenticationForLocalhost=no' },
];
/** What a shell could take for more than a name; OpenSSH 9.6 and later refuse the same. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNSAFE_IN_DESTINATION = /["'`$\\;&<>|(){},\s\u0000-\u001f\u007f]/;

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
 * `ssh -G` prints several paths on one line, separated by blanks, and does not quote a blank inside a path. So a word
 * begins another path only if it looks like the beginning of an absolute one.
 */
function severalPaths(line: string | null): string[] {
  return (line ?? '').split(/\s+(?=[/~%$])/).filter((path) => path !== '');
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
