import { describe, expect, test } from '@jest/globals';
import { reconnectingStore } from '../../src/store/reconnecting-store.ts';
import { connectSsh } from '../../src/store/sftp/ssh-connection.ts';
import type { BackupStore } from '../../src/store/store.ts';
import { startCuttingProxy } from '../support/ssh/cutting-proxy.ts';
import { startPlainSftpServer } from '../support/ssh/plain-sftp-server.ts';
import { seededRandom, testSeed } from '../support/seeded-random.ts';
import { startSshServer } from '../support/ssh/ssh-server.ts';
import { describeWithTools } from '../support/programs/tools.ts';
import { describeBackupStore, type BackupStoreUnderTest } from './backup-store-contract.ts';

interface Server {
  destination: string;
  directory: string;
  port: number;
  configWith(...lines: string[]): Promise<string>;
  stop(): Promise<void>;
}

const context = { signal: new AbortController().signal, report: () => undefined };
const seed = testSeed();
/**
 * Connections are cut after these numbers of bytes: during the login, small requests or packs, or after the end of a
 * test.
 */
const lives = [3000, 30_000, 300_000, 3_000_000, 200_000_000];
let cuts = 0;

/** Stores whose connections are cut at random moments, again and again. */
async function storesOverCutLines(server: Server): Promise<BackupStoreUnderTest> {
  const random = seededRandom(seed);
  const proxy = await startCuttingProxy(
    server.port,
    () => (lives[Math.floor(random() * lives.length)] ?? 0) * (0.5 + random()),
  );
  const sshConfigFile = await server.configWith(
    `Host ${server.destination}`,
    `  Port ${proxy.port}`,
    `  HostKeyAlias [127.0.0.1]:${server.port}`,
  );
  const opened: BackupStore[] = [];
  const connect = async (directory: string, unsettledFolders: Set<string>): Promise<BackupStore> => {
    const connection = await connectSsh(server.destination, { sshConfigFile }, context);
    const store = connection.store(directory, unsettledFolders);
    store[Symbol.asyncDispose] = () => connection[Symbol.asyncDispose]();
    return store;
  };
  const open = async (directory: string): Promise<BackupStore> => {
    const unsettledFolders = new Set<string>();
    for (;;) {
      try {
        const store = await reconnectingStore(() => connect(directory, unsettledFolders), {
          waitsMs: Array.from({ length: 100 }, () => 0),
          sleep: () => Promise.resolve(),
        });
        opened.push(store);
        return store;
      } catch {
        // The connection was cut during the login: the first opening is not repeated.
      }
    }
  };
  return {
    scratch: server.directory,
    leavesTemporaryFiles: true,
    open,
    stop: async () => {
      cuts += proxy.cuts();
      for (const store of opened) await store[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

describe(`over connections that are cut (VMFERRY_TEST_SEED=${seed})`, () => {
  describeWithTools('by SFTP', ['ssh', 'sshd', 'ssh-keygen'], () => {
    describeBackupStore('OpenSSH’s server', async () => storesOverCutLines(await startSshServer()));
  });
  describeBackupStore('a server without extensions', async () =>
    storesOverCutLines(await startPlainSftpServer()),
  );
  test('some connections were cut', () => {
    // About fifteen are expected.
    expect(cuts).toBeGreaterThan(2);
  });
});
