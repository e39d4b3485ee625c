import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { connectSsh, type SshConnection } from '../../../src/store/sftp/ssh-connection.ts';
import { run } from '../../../src/system/processes.ts';
import { startPlainSftpServer, type PlainSftpServer } from '../../support/ssh/plain-sftp-server.ts';
import { descendantsOf } from '../../support/programs/process-tree.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';
import { describeUnless, describeWithTools, toolsMissing } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const MIB = 1 << 20;

const noMounts = process.getuid?.() === 0 ? toolsMissing('sshd', 'mount') : 'mounting needs root';

describeUnless(noMounts, 'a file system of the server', () => {
  let server: TestSshServer;
  let connection: SshConnection;
  let directory: string;
  beforeAll(async () => {
    server = await startSshServer();
    connection = await connectSsh(server.destination, server, context);
    directory = join(server.directory, 'small');
    await mkdir(directory);
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', directory]);
    expect(mounted.exitStatus).toBe(0);
  });
  afterAll(async () => {
    await run('umount', [directory]);
    await connection[Symbol.asyncDispose]();
    await server.stop();
  });

  test('that fills up is reported, and keeps nothing of the put', async () => {
    const store = connection.store(directory);
    await store.put('fits', [Buffer.alloc(MIB)], context);
    const put = store.put('too-large', [Buffer.alloc(6 * MIB)], context);
    await expect(put).rejects.toMatchObject({ code: 'target-full', transient: false });
    expect(await readdir(directory)).toEqual(['fits']);
    // The removed file has freed its space.
    await store.put('fits-too', [Buffer.alloc(2 * MIB)], context);
  });

  test('that is mounted read-only is reported', async () => {
    await run('mount', ['-o', 'remount,ro', directory]);
    const put = connection.store(directory).put('a', [Buffer.alloc(1)], context);
    await expect(put).rejects.toMatchObject({ code: 'target-not-writable' });
    await expect(put).rejects.toThrow('mounted read-only');
    await run('mount', ['-o', 'remount,rw', directory]);
  });
});

describeWithTools('a server that permits no writing', ['ssh', 'sshd'], () => {
  test('is reported', async () => {
    await using server = await startSshServer({ sshdConfig: ['Subsystem sftp internal-sftp -R'] });
    await using connection = await connectSsh(server.destination, server, context);
    const store = connection.store(server.directory);
    await expect(store.put('a', [Buffer.alloc(1)], context)).rejects.toMatchObject({
      code: 'target-not-writable',
    });
    await expect(store.remove('ssh_config', context.signal)).rejects.toMatchObject({
      code: 'target-not-writable',
    });
  });

  test('fails when its SFTP program ends, but the connection stays', async () => {
    await using server = await startSshServer({
      sshdConfig: ['Subsystem sftp exec /usr/lib/openssh/sftp-server'],
    });
    const directory = join(server.directory, 'spool');
    await mkdir(directory);
    await using connection = await connectSsh(server.destination, server, context);
    const store = connection.store(directory);
    const block = Buffer.alloc(16 * MIB);
    let killed: Promise<unknown> | null = null;
    // Enough data that it cannot all be sent before the program is found and killed, however busy the machine is.
    const parts = Array.from({ length: 256 }, () => block);
    const put = store.put('pack', parts, {
      ...context,
      onWritten: () => {
        killed ??= killSftpServer(server.pid);
      },
    });
    await expect(put).rejects.toMatchObject({ code: 'connection-lost', transient: true });
    await expect(store.remove('pack', context.signal)).rejects.toMatchObject({ code: 'connection-lost' });
    const remote = await connection.exec('exit 3', context.signal);
    expect(await remote.exited).toEqual({ exitStatus: 3, signal: null });
  });
});

async function killSftpServer(sshdPid: number): Promise<void> {
  for (const pid of await descendantsOf(sshdPid)) {
    const { stdout } = await run('ps', ['-o', 'comm=', '-p', String(pid)]);
    if (stdout.trim() === 'sftp-server') process.kill(pid, 'SIGKILL');
  }
}

describe('a server that cannot be trusted', () => {
  let server: PlainSftpServer;
  let connection: SshConnection;
  let directory: string;
  beforeAll(async () => {
    server = await startPlainSftpServer();
    connection = await connectSsh(server.destination, server, context);
    directory = join(server.directory, 'spool');
    await mkdir(directory);
  });
  afterAll(async () => {
    await connection[Symbol.asyncDispose]();
    await server.stop();
  });

  test('because it acknowledges data that it does not write is detected', async () => {
    server.faults = { forgetBeyondBytes: 2 * MIB };
    const put = connection.store(directory).put('pack', [Buffer.alloc(3 * MIB)], context);
    await expect(put).rejects.toMatchObject({ code: 'transfer-failed' });
    await expect(put).rejects.toThrow(`acknowledged ${3 * MIB} bytes, but has only ${2 * MIB}`);
    expect(await readdir(directory)).toEqual([]);
  });

  test('because it refuses without a reason is reported', async () => {
    server.faults = { refuseBeyondBytes: 2 * MIB };
    let writtenBytes = 0;
    const put = connection.store(directory).put('pack', [Buffer.alloc(16 * MIB)], {
      ...context,
      onWritten: (bytes) => (writtenBytes += bytes),
    });
    await expect(put).rejects.toMatchObject({ code: 'target-not-writable' });
    expect(writtenBytes).toBe(2 * MIB);
    expect(await readdir(directory)).toEqual([]);
  });
});
