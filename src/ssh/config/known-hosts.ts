import { createHash, createHmac } from 'node:crypto';

/** A line of OpenSSH's known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). This file is pure: it reads no file and no network. */
export interface KnownHostKey {
  /** The file's first field: comma-separated patterns, or `|1|salt|hash` for one hashed name. */
  hosts: string;
  /** The line's marker. The key of a `cert-authority` signs host certificates, and is not a host key itself. */
  marker: 'cert-authority' | 'revoked' | null;
  /** From the key itself: `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`, … */
  keyType: string;
  /** The public key in its wire format. */
  key: Buffer;
  file: string;
  /** From 1. */
  lineNumber: number;
}

/** The names that a host is looked up under. */
export interface HostIdentity {
  hostName: string;
  port: number;
  /** HostKeyAlias: replaces the name and the port. */
  hostKeyAlias: string | null;
}

export type HostKeyVerdict =
  { verdict: 'matches' } | { verdict: 'unknown' } | { verdict: 'changed' | 'revoked'; known: KnownHostKey };

const DEFAULT_PORT = 22;
const markers: Readonly<Record<string, KnownHostKey['marker']>> = {
  '@cert-authority': 'cert-authority',
  '@revoked': 'revoked',
};

/** The lines of one file that have a key. Lines that cannot be understood are skipped, as OpenSSH does. */
export function parseKnownHosts(text: string, file: string): KnownHostKey[] {
  return text.split('\n').flatMap((line, index) => {
    const fields = line.trim().split(/[ \t]+/);
    if (fields[0] === undefined || fields[0] === '' || fields[0].startsWith('#')) return [];
    const marker = fields[0].startsWith('@') ? markers[fields.shift() ?? ''] : null;
    const [hosts, declaredType, encoded] = fields;
    if (marker === undefined) return [];
    if (hosts === undefined || declaredType === undefined || encoded === undefined) return [];
    const key = Buffer.from(encoded, 'base64');
    if (keyTypeOf(key) !== declaredType) return [];
    return [{ hosts, marker, keyType: declaredType, key, file, lineNumber: index + 1 }];
  });
}

/** The type that a public key begins with (RFC 4253, 6.6); empty if it is not a key. */
export function keyTypeOf(key: Uint8Array): string {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  if (bytes.length < 4) return '';
  const length = bytes.readUInt32BE(0);
  return length <= bytes.length - 4 ? bytes.toString('latin1', 4, 4 + length) : '';
}

/** The fingerprint as `ssh-keygen -l` shows it: `SHA256:` and base64 without padding. */
export function fingerprintOf(key: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The name of a host in known_hosts: `[name]:port` unless the port is 22. */
export function knownHostsName({ hostName, port, hostKeyAlias }: HostIdentity): string {
  if (hostKeyAlias !== null) return hostKeyAlias;
  return port === DEFAULT_PORT ? hostName : `[${hostName}]:${port}`;
}

/** Compares the key that a host offers with the known keys. */
export function judgeHostKey(
  known: readonly KnownHostKey[],
  host: HostIdentity,
  offered: Uint8Array,
): HostKeyVerdict {
  const verdict = judgeByName(known, knownHostsName(host), offered);
  if (verdict.verdict !== 'unknown' || host.hostKeyAlias !== null || host.port === DEFAULT_PORT)
    return verdict;
  // As in OpenSSH, a key noted for the name without a port is valid for all ports.
  const withoutPort = judgeByName(known, host.hostName, offered);
  return withoutPort.verdict === 'changed' ? verdict : withoutPort;
}

function judgeByName(known: readonly KnownHostKey[], name: string, offered: Uint8Array): HostKeyVerdict {
  const entries = known.filter((entry) => matchesHost(entry.hosts, name));
  const isOffered = (entry: KnownHostKey): boolean => entry.key.equals(offered);
  const revoked = entries.find((entry) => entry.marker === 'revoked' && isOffered(entry));
  if (revoked !== undefined) return { verdict: 'revoked', known: revoked };
  const valid = entries.filter((entry) => entry.marker === null);
  if (valid.some(isOffered)) return { verdict: 'matches' };
  const other = valid.find((entry) => entry.keyType === keyTypeOf(offered)) ?? valid[0];
  return other === undefined ? { verdict: 'unknown' } : { verdict: 'changed', known: other };
}

/**
 * The types of the known keys of a host. They must be offered first, so that the host does not show a key of another type, which
 * would look changed. A key that is also revoked is left out, so that the host shows another known key.
 */
export function knownKeyTypes(known: readonly KnownHostKey[], host: HostIdentity): string[] {
  const name = knownHostsName(host);
  const entries = known.filter((entry) => matchesHost(entry.hosts, name));
  const revoked = entries.filter((entry) => entry.marker === 'revoked');
  const usable = entries.filter(
    (entry) => entry.marker === null && !revoked.some(({ key }) => key.equals(entry.key)),
  );
  return [...new Set(usable.map((entry) => entry.keyType))];
}

/** The line that makes ssh accept a certificate of the host; null if there is none. */
export function certificateAuthorityOf(
  known: readonly KnownHostKey[],
  host: HostIdentity,
): KnownHostKey | null {
  const names = host.hostKeyAlias === null ? [knownHostsName(host), host.hostName] : [host.hostKeyAlias];
  return (
    known.find(
      ({ marker, hosts }) => marker === 'cert-authority' && names.some((name) => matchesHost(hosts, name)),
    ) ?? null
  );
}

/** Whether the first field of a known_hosts line matches the name. */
export function matchesHost(hosts: string, name: string): boolean {
  const lowered = name.toLowerCase();
  if (hosts.startsWith('|')) return matchesHashed(hosts, lowered);
  let matched = false;
  for (const pattern of hosts.toLowerCase().split(',')) {
    const negated = pattern.startsWith('!');
    if (!matchesPattern(negated ? pattern.slice(1) : pattern, lowered)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

/** `|1|salt|hash`: the hash is the HMAC-SHA1 of the name, keyed with the salt, both in base64. */
function matchesHashed(hosts: string, name: string): boolean {
  const [, version, salt, hash] = hosts.split('|');
  if (version !== '1' || salt === undefined || hash === undefined) return false;
  const computed = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest();
  return computed.equals(Buffer.from(hash, 'base64'));
}

/** `*` matches any characters, `?` one character; nothing else is special. */
function matchesPattern(pattern: string, name: string): boolean {
  let resumePattern = -1;
  let resumeName = 0;
  let p = 0;
  let n = 0;
  while (n < name.length) {
    if (pattern[p] === '*') {
      resumePattern = ++p;
      resumeName = n;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++;
      n++;
    } else if (resumePattern >= 0) {
      p = resumePattern;
      n = ++resumeName;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
