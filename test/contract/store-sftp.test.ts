import { describe } from '@jest/globals';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { connectSsh } from '../../src/store/sftp/ssh-connection.ts';
import { startPlainSftpServer } from '../support/ssh/plain-sftp-server.ts';
import { startSshServer } from '../support/ssh/ssh-server.ts';
import { describeUnless, describeWithTools, toolsMissing } from '../support/programs/tools.ts';
import { describeBackupStore, type BackupStoreUnderTest } from './backup-store-contract.ts';

interface Server {
  destination: string;
  sshConfigFile: string;
  directory: string;
  stop(): Promise<void>;
}

async function storesOn(server: Server): Promise<BackupStoreUnderTest> {
  const { destination, sshConfigFile, directory: scratch } = server;
  const context = { signal: new AbortController().signal, report: () => undefined };
  const connection = await connectSsh(destination, { sshConfigFile }, context);
  return {
    scratch,
    open: (directory) => connection.store(directory),
    stop: async () => {
      await connection[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

/** An account that sees only its own directory: no shell, no /dev, no user names. */
async function storesInChroot(): Promise<BackupStoreUnderTest> {
  // sshd only accepts a directory that no other user may change, with all its parents.
  const root = await mkdtemp('/run/vmferry-chroot-');
  const server = await startSshServer({
    sshdConfig: [
      'Subsystem sftp internal-sftp',
      'Match all',
      `ChrootDirectory ${root}`,
      'ForceCommand internal-sftp',
      'Match all',
    ],
  });
  const stores = await storesOn(server);
  const scratch = join(root, 'data');
  await mkdir(scratch);
  return {
    scratch,
    open: (directory) => stores.open(directory.slice(root.length)),
    stop: async () => {
      await stores.stop();
      await rm(root, { recursive: true });
    },
  };
}

describeWithTools('by SFTP', ['ssh', 'sshd', 'ssh-keygen'], () => {
  describeBackupStore('OpenSSH’s server', async () => storesOn(await startSshServer()));
});

const noChroot = process.getuid?.() === 0 ? toolsMissing('ssh', 'sshd', 'ssh-keygen') : 'chroot needs root';
describeUnless(noChroot, 'by SFTP', () => {
  describeBackupStore('OpenSSH’s server in a chroot', storesInChroot);
});

describe('by SFTP', () => {
  describeBackupStore('a server without extensions', async () => storesOn(await startPlainSftpServer()));
  describeBackupStore('a server that reads in small pieces, lists bare names, and replaces', async () =>
    storesOn(await startPlainSftpServer({ shortReadBytes: 5000, bareListings: true, renameReplaces: true })),
  );
});
