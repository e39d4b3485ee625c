import { readFile } from 'node:fs/promises';
import { Failure } from '../failure.ts';
import {
  fingerprintOf,
  judgeHostKey,
  keyTypeOf,
  knownHostsName,
  knownKeyTypes,
  parseKnownHosts,
  type KnownHostKey,
} from '../system/known-hosts.ts';
import { optionsFor, type SshHost } from '../system/ssh-config.ts';
import { quoteForShell } from '../quote-for-shell.ts';
import { nameOf } from '../system/ssh-transport.ts';

/**
 * What is taken for a host key's proof, best first. `ssh-rsa` here is the key type: its SHA-1 signatures are not
 * taken, as OpenSSH has not since 8.8.
 */
const algorithmsByKeyType: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** The keys of all known_hosts files of the host; files that are missing or unreadable count as empty. */
export async function readKnownHosts(host: SshHost): Promise<KnownHostKey[]> {
  const files = [...host.userKnownHostsFiles, ...host.globalKnownHostsFiles];
  const keys = await Promise.all(
    files.map(async (file) => parseKnownHosts(await readFile(file, 'utf8').catch(() => ''), file)),
  );
  return keys.flat();
}

/** The host key algorithms to offer: those of the keys that are known first. */
export function hostKeyAlgorithms(known: readonly KnownHostKey[], host: SshHost): string[] {
  const types = new Set([...knownKeyTypes(known, host), ...Object.keys(algorithmsByKeyType)]);
  return [...types].flatMap((type) => algorithmsByKeyType[type] ?? []);
}

/** null when the key is known for the host; otherwise why the connection must end here. */
export function refuseHostKey(
  known: readonly KnownHostKey[],
  host: SshHost,
  offered: Uint8Array,
): Failure | null {
  const verdict = judgeHostKey(known, host, offered);
  const shown = `${keyTypeOf(offered)} ${fingerprintOf(offered)}`;
  switch (verdict.verdict) {
    case 'matches':
      return null;
    case 'unknown':
      return new Failure('host-key-unknown', `The host key of ${nameOf(host)} is not known here: ${shown}`, {
        advice: adviceToAccept(host),
      });
    case 'changed':
      return new Failure(
        'host-key-changed',
        `${nameOf(host)} shows another host key than before: ${shown}. ` +
          `The known one is in ${verdict.known.file}:${verdict.known.lineNumber} (${verdict.known.keyType} ` +
          `${fingerprintOf(verdict.known.key)}). Either it was set up anew, or someone is between you and it.`,
        {
          advice: `Only if you know why it changed, forget the old key: ${[
            'ssh-keygen',
            '-R',
            knownHostsName(host),
            '-f',
            verdict.known.file,
          ]
            .map(quoteForShell)
            .join(' ')}`,
        },
      );
    case 'revoked':
      return new Failure(
        'host-key-changed',
        `${nameOf(host)} shows a host key that is revoked in ${verdict.known.file}:${verdict.known.lineNumber}: ${shown}`,
        { advice: 'Do not connect to it before its host key is replaced.' },
      );
  }
}

function adviceToAccept(host: SshHost): string {
  const command = [
    'ssh',
    ...optionsFor(host),
    '-o',
    'StrictHostKeyChecking=ask',
    ...(keepsNoKeys(host) ? ['-o', 'UserKnownHostsFile=FILE'] : []),
    host.destination,
    'true',
  ];
  const where = keepsNoKeys(host)
    ? ' Your ssh configuration keeps no host keys (UserKnownHostsFile): give it a FILE for this host first.'
    : '';
  return (
    `Accept it once with: ${command.map(quoteForShell).join(' ')}\n` +
    'Before you say yes there, compare the fingerprint with what the machine itself shows: ' +
    `ssh-keygen -lf /etc/ssh/ssh_host_TYPE_key.pub${where}`
  );
}

function keepsNoKeys(host: SshHost): boolean {
  return host.userKnownHostsFiles.every((file) => file === '/dev/null');
}
