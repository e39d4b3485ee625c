import { knownHostsName, type KnownHostKey } from './config/known-hosts.ts';
import { optionsFor, type SshHost } from './config/ssh-config.ts';
import { shellLine } from '../quote-for-shell.ts';

/** How to accept the key that the host showed. ssh must ask about the same key, and write it to known_hosts. */
export function adviceToAccept(
  host: SshHost,
  keyType: string,
  { algorithm, authority }: { algorithm: string; authority: KnownHostKey | null },
): string {
  const keepsNoKeys = host.userKnownHostsFiles.every((file) => file === '/dev/null');
  const command = sshCommand(host, [
    // Otherwise ssh would accept the certificate, and write no key.
    ...(authority === null ? [] : ['-o', `HostKeyAlgorithms=${algorithm}`]),
    ...host.withKnownHostsOnly,
    '-o',
    'StrictHostKeyChecking=ask',
    ...(keepsNoKeys ? ['-o', 'UserKnownHostsFile=FILE'] : []),
  ]);
  const showFingerprint = `ssh-keygen -lf ${publicKeyFile(keyType)}`;
  const where = keepsNoKeys
    ? ' Your ssh configuration keeps no host keys (UserKnownHostsFile): set a FILE for this host first.'
    : '';
  const shows =
    authority === null
      ? `the output of this command on that machine: ${showFingerprint}`
      : `the output of this command (the host’s certificate verifies its connection): ${sshCommand(host, [], showFingerprint)}`;
  return (
    `Accept it once with: ${command}\n` +
    `Before you answer yes, compare the fingerprint with ${shows}${where}`
  );
}

/** How to forget a known key. ssh-keygen does not remove lines with patterns. */
export function adviceToForget(host: SshHost, { file, hosts, lineNumber }: KnownHostKey): string {
  const command = /[*?!]/.test(hosts)
    ? ['sed', '-i', `${lineNumber}d`, file]
    : ['ssh-keygen', '-R', knownHostsName(host), '-f', file];
  return `Only if you know why it changed, forget the old key: ${shellLine(command)}`;
}

function sshCommand(host: SshHost, options: readonly string[], command = 'true'): string {
  return shellLine(['ssh', ...optionsFor(host), ...options, host.destination, command]);
}

/** OpenSSH's default path of the host's public key. */
function publicKeyFile(keyType: string): string {
  const name = /^(?:ssh|ecdsa)-(ed25519|rsa)$/.exec(keyType)?.[1] ?? 'ecdsa';
  return `/etc/ssh/ssh_host_${name}_key.pub`;
}
