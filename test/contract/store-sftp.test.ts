import { describe } from '@jest/globals';
import { connectSsh } from '../../src/store/ssh-connection.ts';
import { startPlainSftpServer } from '../support/plain-sftp-server.ts';
import { startSshServer } from '../support/ssh-server.ts';
import { describeWithTools } from '../support/tools.ts';
import { describeStore, type StoreUnderTest } from './store-contract.ts';

interface Server {
  destination: string;
  sshConfigFile: string;
  directory: string;
  stop(): Promise<void>;
}

async function storesOn(server: Server): Promise<StoreUnderTest> {
  const context = { signal: new AbortController().signal, report: () => undefined };
  const connection = await connectSsh(server.destination, server, context);
  return {
    scratch: server.directory,
    open: (directory) => connection.store(directory),
    stop: async () => {
      await connection[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

describeWithTools('by SFTP', ['ssh', 'sshd', 'ssh-keygen'], () => {
  describeStore('OpenSSH’s server', async () => storesOn(await startSshServer()));
});

describe('by SFTP', () => {
  describeStore('a server without extensions', async () => storesOn(await startPlainSftpServer()));
  describeStore('a server that reads in small pieces', async () =>
    storesOn(await startPlainSftpServer({ shortReadBytes: 5000 })),
  );
});
