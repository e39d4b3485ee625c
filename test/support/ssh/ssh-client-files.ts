import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { run } from '../../../src/system/processes.ts';

export type KeyType = 'ed25519' | 'rsa' | 'ecdsa';

/** The address of a server, and its alias in the client files. */
export interface ServerAddress {
  alias: string;
  address: string;
  port: number;
}

/** The files that a client needs to log in to one test server: a key, known_hosts and a configuration, in one folder. */
export interface SshClientFiles {
  identityFile: string;
  knownHostsFile: string;
  sshConfigFile: string;
  /** Makes a configuration whose lines override the first one's, and returns its path. */
  configWith(...lines: string[]): Promise<string>;
}

/** Makes a key pair, and returns the path of the private key. The public key has the same path with `.pub`. */
export async function makeKey(path: string, type: KeyType = 'ed25519', passphrase = ''): Promise<string> {
  const bits = type === 'rsa' ? ['-b', '2048'] : [];
  const made = await run('ssh-keygen', ['-q', '-t', type, ...bits, '-N', passphrase, '-C', path, '-f', path]);
  if (made.exitStatus !== 0) throw new Error(`ssh-keygen: ${made.stderr}`);
  return path;
}

/** A known_hosts line for the public key beside `keyFile`. */
export async function knownHostsLine({ address, port }: ServerAddress, keyFile: string): Promise<string> {
  const [type, key] = (await readFile(`${keyFile}.pub`, 'utf8')).split(' ');
  return `${port === 22 ? address : `[${address}]:${port}`} ${type} ${key}\n`;
}

/** Makes a client key and a configuration with the alias, and an empty known_hosts. */
export async function makeClientFiles(directory: string): Promise<Pick<SshClientFiles, 'identityFile'>> {
  await mkdir(directory, { recursive: true });
  return { identityFile: await makeKey(join(directory, 'id_ed25519')) };
}

/** Writes the configuration that defines the server's alias and host keys. */
export async function introduceServer(
  directory: string,
  server: ServerAddress,
  hostKeyFiles: readonly string[],
): Promise<SshClientFiles> {
  const knownHostsFile = join(directory, 'known_hosts');
  const sshConfigFile = join(directory, 'ssh_config');
  const identityFile = join(directory, 'id_ed25519');
  for (const keyFile of hostKeyFiles) await appendFile(knownHostsFile, await knownHostsLine(server, keyFile));
  const config = [
    `Host ${server.alias}`,
    `  HostName ${server.address}`,
    `  Port ${server.port}`,
    `  User ${userInfo().username}`,
    'Host *',
    `  IdentityFile ${identityFile}`,
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    `  UserKnownHostsFile ${knownHostsFile}`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    '  ConnectTimeout 10',
    '  LogLevel ERROR',
    '',
  ].join('\n');
  await writeFile(sshConfigFile, config);
  let variants = 0;
  return {
    identityFile,
    knownHostsFile,
    sshConfigFile,
    configWith: async (...lines) => {
      const path = join(directory, `ssh_config-${++variants}`);
      await writeFile(path, `${lines.join('\n')}\n${config}`);
      return path;
    },
  };
}
