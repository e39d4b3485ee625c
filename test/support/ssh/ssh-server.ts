import { spawn, type ChildProcess } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import {
  introduceServer,
  makeClientFiles,
  makeKey,
  type KeyType,
  type SshClientFiles,
} from './ssh-client-files.ts';
import { killTree } from '../programs/process-tree.ts';
import { findTool } from '../programs/tools.ts';

export interface SshServerOptions {
  /** The name that clients use; `server` unless given. */
  alias?: string;
  address?: string;
  /** A free one unless given. */
  port?: number;
  hostKeyTypes?: readonly KeyType[];
  /** More lines for sshd_config(5); they win over the server's own. */
  sshdConfig?: readonly string[];
  /** A program and its arguments that start sshd, for example `ip netns exec NAME`. */
  startedBy?: readonly string[];
}

/** A real sshd with its own keys, configuration and logins, separate from those of the machine. */
export interface TestSshServer extends SshClientFiles, AsyncDisposable {
  /** As for `ssh -F sshConfigFile`. */
  destination: string;
  address: string;
  port: number;
  /** Contains all its files; removed when it stops. */
  directory: string;
  hostKeyFiles: Readonly<Partial<Record<KeyType, string>>>;
  /** One line a public key. */
  authorizedKeysFile: string;
  pid: number;
  /** The log of sshd so far. */
  log(): string;
  /** Ends sshd and all its sessions, and removes its files. */
  stop(): Promise<void>;
}

const PORT_ATTEMPTS = 5;

/** Starts an sshd and waits until it listens. Its client files know its host keys and may log in. */
export async function startSshServer(options: SshServerOptions = {}): Promise<TestSshServer> {
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-sshd-'));
  const { alias = 'server', address = '127.0.0.1', hostKeyTypes = ['ed25519'] } = options;
  const { identityFile } = await makeClientFiles(directory);
  const authorizedKeysFile = join(directory, 'authorized_keys');
  await copyFile(`${identityFile}.pub`, authorizedKeysFile);
  const hostKeyFiles: Partial<Record<KeyType, string>> = {};
  for (const type of hostKeyTypes)
    hostKeyFiles[type] = await makeKey(join(directory, `host_${type}_key`), type);
  // The unprivileged process of sshd needs it, and only root may make it.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true });
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort(address));
    await writeFile(
      join(directory, 'sshd_config'),
      sshdConfig({ options, address, port, authorizedKeysFile, hostKeyFiles: Object.values(hostKeyFiles) }),
    );
    const started = await startSshd(directory, options.startedBy ?? []);
    if ('log' in started) {
      const { child, log } = started;
      const clientFiles = await introduceServer(
        directory,
        { alias, address, port },
        Object.values(hostKeyFiles),
      );
      const stop = async (): Promise<void> => {
        await endWithSessions(child);
        await rm(directory, { recursive: true, force: true });
      };
      return {
        ...clientFiles,
        destination: alias,
        address,
        port,
        directory,
        hostKeyFiles,
        authorizedKeysFile,
        log,
        stop,
        pid: child.pid ?? 0,
        [Symbol.asyncDispose]: stop,
      };
    }
    if (attempt < PORT_ATTEMPTS && /in use/i.test(started.complaint)) continue;
    await rm(directory, { recursive: true, force: true });
    throw new Error(`sshd did not start: ${started.complaint}`);
  }
}

function sshdConfig({
  options,
  address,
  port,
  authorizedKeysFile,
  hostKeyFiles,
}: {
  options: SshServerOptions;
  address: string;
  port: number;
  authorizedKeysFile: string;
  hostKeyFiles: readonly string[];
}): string {
  const own = options.sshdConfig ?? [];
  return [
    ...own,
    `ListenAddress ${address}`,
    `Port ${port}`,
    ...hostKeyFiles.map((file) => `HostKey ${file}`),
    'PidFile none',
    `AuthorizedKeysFile ${authorizedKeysFile}`,
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'UseDNS no',
    'StrictModes no',
    'PrintMotd no',
    'MaxStartups 100',
    'ClientAliveInterval 5',
    'ClientAliveCountMax 3',
    // The only keyword that must not be repeated.
    ...(own.some((line) => line.startsWith('Subsystem')) ? [] : ['Subsystem sftp internal-sftp']),
    '',
  ].join('\n');
}

/** Returns the running sshd, or throws its error output. */
function startSshd(
  directory: string,
  startedBy: readonly string[],
): Promise<{ child: ChildProcess; log: () => string } | { complaint: string }> {
  const sshd = findTool('sshd');
  if (sshd === null) throw new Error('sshd is not installed');
  const [program, ...args] = [...startedBy, sshd, '-D', '-e', '-f', join(directory, 'sshd_config')];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let logged = '';
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => resolve({ complaint: logged.trim() }));
    createInterface(child.stderr).on('line', (line) => {
      logged += `${line}\n`;
      if (line.startsWith('Server listening on')) resolve({ child, log: () => logged });
    });
  });
}

async function endWithSessions(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  // Each session of sshd is a process group of its own.
  await killTree(child.pid);
  await exited;
}

/** A port that nothing listens on. Another program may still take it before it is used. */
export function freePort(address = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, address, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
