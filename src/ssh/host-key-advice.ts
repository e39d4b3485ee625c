import { knownHostsName, type KnownHostKey } from './config/known-hosts.ts';
import { optionsFor, type SshHost } from './config/ssh-config.ts';
import { quoteForShell } from '../quote-for-shell.ts';

/** How to make the key known that the host showed; ssh must ask about that very key, and note it in known_hosts. */
export function adviceToAccept(
  host: SshHost,
  keyType: string,
  { algorithm, authority }: { algorithm: string; authority: KnownHostKey | null },
): string {
  const keepsNoKeys = host.userKnownHostsFiles.every((file) => file === '/dev/null');
  const command = sshCommand(host, [
    // ssh would ask for the certificate, and note nothing
    ...(authority === null ? [] : ['-o', `HostKeyAlgorithms=${algorithm}`]),
    ...host.withKnownHostsOnly,
    '-o',
    'StrictHostKeyChecking=ask',
    ...(keepsNoKeys ? ['-o', 'UserKnownHostsFile=FILE'] : []),
  ]);
  const showFingerprint = `ssh-keygen -lf ${publicKeyFile(keyType)}`;
  const where = keepsNoKeys
    ? ' Your ssh configuration keeps no host keys (UserKnownHostsFile): give it a FILE for this host first.'
    : '';
  const shows =
    authority === null
      ? `what the machine itself shows: ${showFingerprint}`
      : `what the machine shows over a connection that its certificate proves: ${sshCommand(host, [], showFingerprint)}`;
  return (
    `Accept it once with: ${command}\n` +
    `Before you say yes there, compare the fingerprint with ${shows}${where}`
  );
}

/** How to forget a known key. ssh-keygen leaves lines with patterns alone. */
export function adviceToForget(host: SshHost, { file, hosts, lineNumber }: KnownHostKey): string {
  const command = /[*?!]/.test(hosts)
    ? ['sed', '-i', `${lineNumber}d`, file]
    : ['ssh-keygen', '-R', knownHostsName(host), '-f', file];
  return `Only if you know why it changed, forget the old key: ${command.map(quoteForShell).join(' ')}`;
}

function sshCommand(host: SshHost, options: readonly string[], command = 'true'): string {
  return ['ssh', ...optionsFor(host), ...options, host.destination, command].map(quoteForShell).join(' ');
}

/** Where OpenSSH keeps it, unless sshd_config says otherwise. */
function publicKeyFile(keyType: string): string {
  const name = /^(?:ssh|ecdsa)-(ed25519|rsa)$/.exec(keyType)?.[1] ?? 'ecdsa';
  return `/etc/ssh/ssh_host_${name}_key.pub`;
}
