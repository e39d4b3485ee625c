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

/** What is taken for a host key's proof, best first. `ssh-rsa`, with SHA-1, only where ssh is told to take it. */
const algorithmsByKeyType: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
};

/** The keys of all known_hosts files of the host; files that are missing or unreadable count as empty. */
export async function readKnownHosts(host: SshHost): Promise<KnownHostKey[]> {
  const files = [...host.userKnownHostsFiles, ...host.globalKnownHostsFiles];
  const keys = await Promise.all(
    files.map(async (file) => parseKnownHosts(await readFile(file, 'utf8').catch(() => ''), file)),
  );
  return keys.flat();
}

/**
 * The host key algorithms to offer: those of the keys that are known first, and none that ssh would not take. Throws
 * Failure `host-unreachable` when that leaves none.
 */
export function hostKeyAlgorithms(known: readonly KnownHostKey[], host: SshHost): string[] {
  const types = new Set([...knownKeyTypes(known, host), ...Object.keys(algorithmsByKeyType)]);
  const supported = [...types].flatMap((type) => algorithmsByKeyType[type] ?? []);
  const taken = host.hostKeyAlgorithms ?? supported.filter((algorithm) => algorithm !== 'ssh-rsa');
  const algorithms = supported.filter((algorithm) => taken.includes(algorithm));
  if (algorithms.length > 0) return algorithms;
  throw new Failure(
    'host-unreachable',
    `Your ssh configuration allows ${nameOf(host)} only host keys that vmferry cannot check: ${taken.join(', ')}.`,
    { advice: `Add one of these to HostKeyAlgorithms in it: ${supported.join(', ')}` },
  );
}

/** null when the key is known for the host; otherwise why the connection must end here. */
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
        `${nameOf(host)} shows another host key than before: ${shown}. ` +
          `The known one is in ${verdict.known.file}:${verdict.known.lineNumber} (${verdict.known.keyType} ` +
          `${fingerprintOf(verdict.known.key)}). Either it was set up anew, or someone is between you and it.`,
        { advice: adviceToForget(host, verdict.known) },
      );
    case 'revoked':
      return revokedIn(`${verdict.known.file}:${verdict.known.lineNumber}`, host, offered);
  }
}

/** null unless the configuration's RevokedHostKeys has the key, or cannot be read: ssh, too, then refuses any key. */
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
    { advice: 'Mend that file, or remove RevokedHostKeys from the configuration.' },
  );
}

function unknown(known: readonly KnownHostKey[], host: SshHost, offered: Uint8Array): Failure {
  const keyType = keyTypeOf(offered);
  const authority = certificateAuthorityOf(known, host);
  const certified =
    authority === null
      ? ''
      : `. A certificate authority for it is known (${authority.file}:${authority.lineNumber}), but vmferry ` +
        'cannot check host certificates, as ssh does: it needs the key itself in known_hosts.';
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
