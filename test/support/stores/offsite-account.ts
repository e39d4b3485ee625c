import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../../src/system/processes.ts';
import type { NetworkLab } from '../ssh/network-lab.ts';
import { startSshServer, type TestSshServer } from '../ssh/ssh-server.ts';

/** An account of Debian's base system, whose shell is nologin. */
const ACCOUNT = 'backup';
/** sshd accepts a directory as a new root only if root owns all its parents; /tmp is not suitable. */
const CHROOT = '/mnt';

export interface OffsiteOptions {
  /** The server refuses everything that would change a file: `internal-sftp -R`. */
  isReadOnly?: boolean;
  /** What the account sees as `/`; a new directory unless given. Several accounts may share one. */
  directory?: string;
  /** 2200 unless given. */
  port?: number;
}

/** An account like one rented for backups: only SFTP, in a directory of its own. */
export interface OffsiteAccount extends AsyncDisposable {
  server: TestSshServer;
  /** The part before the colon of a location: USER@HOST. */
  login: string;
  /** What the account sees as `/`, on this machine. */
  directory: string;
  /** `directory`/backups, the only directory that the account may write to. */
  writable: string;
  /** Runs a program among the server's own mounts, which this machine does not share. Returns its stdout. */
  runThere(...command: string[]): Promise<string>;
  /**
   * Mounts a new ext4 of that size on the directory that the account writes to, visible only to the server. Its files can then
   * only be reached by `runThere`.
   */
  mountSmall(sizeBytes: number): Promise<MountedDisk>;
}

export interface MountedDisk {
  unmount(): Promise<void>;
  mountAgain(): Promise<void>;
}

/** Starts sshd on the lab's new host, for this account only. */
export async function openOffsiteAccount(
  lab: NetworkLab,
  options: OffsiteOptions = {},
): Promise<OffsiteAccount> {
  const { isReadOnly = false, port = 2200 } = options;
  const directory = options.directory ?? (await makeAccountDirectory());
  const server = await startSshServer({
    alias: 'offsite',
    address: lab.addresses.new,
    port,
    sshdConfig: [
      `AllowUsers ${ACCOUNT}`,
      `ChrootDirectory ${CHROOT}`,
      `ForceCommand internal-sftp${isReadOnly ? ' -R' : ''}`,
      'AllowTcpForwarding no',
    ],
    startedBy: [...lab.prefix('new'), 'sh', '-c', `mount --bind '${directory}' ${CHROOT} && exec "$@"`, 'sh'],
  });
  // sshd reads them as the account.
  await chmod(server.directory, 0o711);
  await chmod(server.authorizedKeysFile, 0o644);
  const runThere = async (...command: string[]): Promise<string> => {
    const argv = ['-m', '-t', String(server.pid), '--', ...command];
    const { exitStatus, stdout, stderr } = await run('nsenter', argv);
    if (exitStatus !== 0) throw new Error(`${command.join(' ')}: ${stderr}`);
    return stdout;
  };
  return {
    server,
    login: `${ACCOUNT}@offsite`,
    directory,
    writable: join(directory, 'backups'),
    runThere,
    mountSmall: (sizeBytes) => mountSmall(server, sizeBytes, runThere),
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
    },
  };
}

async function makeAccountDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'vmferry-offsite-'));
  await chmod(directory, 0o755);
  await mkdir(join(directory, 'backups'));
  const { uid, gid } = accountIds();
  await chown(join(directory, 'backups'), uid, gid);
  return directory;
}

function accountIds(): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${ACCOUNT}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`this machine has no account ${ACCOUNT}`);
  return { uid: Number(uid), gid: Number(gid) };
}

async function mountSmall(
  server: TestSshServer,
  sizeBytes: number,
  runThere: OffsiteAccount['runThere'],
): Promise<MountedDisk> {
  const image = join(server.directory, 'small.img');
  const target = `${CHROOT}/backups`;
  const { uid, gid } = accountIds();
  await runThere('truncate', '-s', String(sizeBytes), image);
  await runThere('mke2fs', '-q', '-F', '-m', '0', '-t', 'ext4', '-E', `root_owner=${uid}:${gid}`, image);
  const mountAgain = async () => {
    await runThere('mount', '-o', 'loop', image, target);
  };
  await mountAgain();
  return {
    mountAgain,
    // A session may still have a file open after its client is gone.
    unmount: async () => {
      await runThere('umount', '--lazy', target);
    },
  };
}
