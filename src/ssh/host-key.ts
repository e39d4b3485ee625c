import { readFile } from 'node:fs/promises';
import { Failure } from '../failure.ts';
import {
  certificateAuthorityOf,
  fingerprintOf,
  judgeHostKey,
  keyTypeOf,
  knownKeyTypes,
  parseKnownHosts,
  type KnownHostKey,
} from './config/known-hosts.ts';
import { isKeyRevoked } from './config/revoked-keys.ts';
import type { SshHost } from './config/ssh-config.ts';
import { nameOf } from './open-transport.ts';
import { adviceToAccept, adviceToForget } from './host-key-advice.ts';

/** Accepted signature algorithms by key type, best first. `ssh-rsa` uses SHA-1, and counts only if the ssh configuration allows it. */
const algorithmsByKeyType: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
};

/** The keys in all known_hosts files for the host. Missing or unreadable files count as empty. */
export async function readKnownHosts(host: SshHost): Promise<KnownHostKey[]> {
  const files = [...host.userKnownHostsFiles, ...host.globalKnownHostsFiles];
  const keys = await Promise.all(
    files.map(async (file) => parseKnownHosts(await readFile(file, 'utf8').catch(() => ''), file)),
  );
  return keys.flat();
}

/**
 * The host key algorithms to offer: those of known keys first, and none that ssh would not accept. Throws Failure
 * `host-unreachable` if none is left.
 */
export function hostKeyAlgorithms(known: readonly KnownHostKey[], host: SshHost): string[] {
  const types = new Set([...knownKeyTypes(known, host), ...Object.keys(algorithmsByKeyType)]);
  const supported = [...types].flatMap((type) => algorithmsByKeyType[type] ?? []);
  const taken = host.hostKeyAlgorithms ?? supported.filter((algorithm) => algorithm !== 'ssh-rsa');
  const algorithms = supported.filter((algorithm) => taken.includes(algorithm));
  if (algorithms.length > 0) return algorithms;
  throw new Failure(
    'host-unreachable',
    `For ${nameOf(host)}, your ssh configuration allows only host keys that vmferry cannot check: ${taken.join(', ')}.`,
    { advice: `Add one of these to its HostKeyAlgorithms: ${supported.join(', ')}` },
  );
}

/** null if the key is known for the host; otherwise why the connection must end. */
export function refuseHostKey(
  known: readonly KnownHostKey[],
  host: SshHost,
  offered: Uint8Array,
): Failure | null {
  const verdict = judgeHostKey(known, host, offered);
  const shown = shownKey(offered);
  switch (verdict.verdict) {
    case 'matches':
      return refuseRevoked(host, offered);
    case 'unknown':
      return unknown(known, host, offered);
    case 'changed':
      return new Failure(
        'host-key-changed',
        `The host key of ${nameOf(host)} has changed: it shows ${shown}. ` +
          `The known key is in ${verdict.known.file}:${verdict.known.lineNumber} (${verdict.known.keyType} ` +
          `${fingerprintOf(verdict.known.key)}). Either the host was reinstalled, or somebody intercepts the connection.`,
        { advice: adviceToForget(host, verdict.known) },
      );
    case 'revoked':
      return revokedIn(`${verdict.known.file}:${verdict.known.lineNumber}`, host, offered);
  }
}

/**
 * The failure if the configuration's RevokedHostKeys has the key or cannot be read, as in ssh; otherwise null.
 */
function refuseRevoked(host: SshHost, offered: Uint8Array): Failure | null {
  const file = host.revokedHostKeysFile;
  if (file === null) return null;
  const answer = isKeyRevoked(file, offered);
  if (answer === 'no') return null;
  if (answer === 'yes') return revokedIn(file, host, offered);
  return new Failure(
    'host-key-unknown',
    `${nameOf(host)} shows a host key that cannot be looked up in ${file} (RevokedHostKeys of your ssh ` +
      `configuration): ${answer.problem}`,
    { advice: 'Repair that file, or remove RevokedHostKeys from the configuration.' },
  );
}

function unknown(known: readonly KnownHostKey[], host: SshHost, offered: Uint8Array): Failure {
  const keyType = keyTypeOf(offered);
  const authority = certificateAuthorityOf(known, host);
  const certified =
    authority === null
      ? ''
      : `. A certificate authority for it is known (${authority.file}:${authority.lineNumber}), but vmferry ` +
        'cannot check host certificates as ssh does: it needs the key itself in known_hosts.';
  return new Failure(
    'host-key-unknown',
    `The host key of ${nameOf(host)} is not known here: ${shownKey(offered)}${certified}`,
    {
      advice: adviceToAccept(host, keyType, {
        algorithm: algorithmsByKeyType[keyType]?.[0] ?? keyType,
        authority,
      }),
    },
  );
}

function revokedIn(where: string, host: SshHost, offered: Uint8Array): Failure {
  return new Failure(
    'host-key-changed',
    `${nameOf(host)} shows a host key that is revoked in ${where}: ${shownKey(offered)}`,
    { advice: 'Do not connect to it before its host key is replaced.' },
  );
}

function shownKey(key: Uint8Array): string {
  return `${keyTypeOf(key)} ${fingerprintOf(key)}`;
}
