import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import { run } from '../../../src/system/processes.ts';
import { makeKey } from '../../support/ssh/ssh-client-files.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

describeWithTools('a connection by ssh', ['ssh', 'sshd', 'ssh-keygen'], () => {
  let server: TestSshServer;
  beforeAll(async () => {
    server = await startSshServer();
  });
  afterAll(async () => {
    await server.stop();
  });

  test('runs a program, and passes on its input, output and exit status', async () => {
    await using connection = await connectSsh(server.destination, server, context);
    const remote = await connection.exec('cat; echo oops >&2; exit 7', context.signal);
    await remote.stdin.write('hello\n');
    remote.stdin.end();
    let output = '';
    for await (const chunk of remote.stdout) output += String(chunk);
    expect(output).toBe('hello\n');
    expect(await remote.exited).toEqual({ exitStatus: 7, signal: null });
    expect(remote.stderrText()).toBe('oops\n');
  });

  test('reports how a killed program ended', async () => {
    await using connection = await connectSsh(server.destination, server, context);
    const remote = await connection.exec('kill -9 $$', context.signal);
    expect(await remote.exited).toEqual({ exitStatus: null, signal: 'SIGKILL' });
  });

  test('reports the end of a program whose output nobody reads', async () => {
    await using connection = await connectSsh(server.destination, server, context);
    const remote = await connection.exec('head -c 500000 /dev/zero', context.signal);
    expect(await remote.exited).toEqual({ exitStatus: 0, signal: null });
    const pieces = await remote.stdout.toArray();
    expect(Buffer.concat(pieces).length).toBe(500_000);
  });

  test('fails a write to a program that is gone', async () => {
    await using connection = await connectSsh(server.destination, server, context);
    const remote = await connection.exec('exec 0<&-; exit 5', context.signal);
    const flood = async (): Promise<void> => {
      for (;;) await remote.stdin.write(Buffer.alloc(1 << 20));
    };
    await expect(flood()).rejects.toMatchObject({ code: 'connection-lost' });
    expect(await remote.exited).toEqual({ exitStatus: 5, signal: null });
  });

  test('survives repeated exchanges of new keys', async () => {
    await using narrow = await startSshServer({ sshdConfig: ['RekeyLimit 200K'] });
    const revoked = join(narrow.directory, 'revoked');
    await makeKey(`${revoked}-key`);
    await run('ssh-keygen', ['-kf', revoked, `${revoked}-key.pub`]);
    const sshConfigFile = await narrow.configWith(`RevokedHostKeys ${revoked}`);
    await using connection = await connectSsh(narrow.destination, { sshConfigFile }, context);
    const remote = await connection.exec('cat', context.signal);
    const sizeBytes = 1 << 20;
    const feed = async (): Promise<void> => {
      await remote.stdin.write(Buffer.alloc(sizeBytes));
      remote.stdin.end();
    };
    const [pieces] = await Promise.all([remote.stdout.toArray(), feed()]);
    expect(Buffer.concat(pieces).length).toBe(sizeBytes);
  });

  test('passes more data through a program than fits into any window', async () => {
    await using connection = await connectSsh(server.destination, server, context);
    const remote = await connection.exec('cat', context.signal);
    const sizeBytes = 24 << 20;
    const feed = async (): Promise<void> => {
      for (let sent = 0; sent < sizeBytes; sent += 1 << 20) await remote.stdin.write(Buffer.alloc(1 << 20));
      remote.stdin.end();
    };
    let received = 0;
    await Promise.all([
      feed(),
      (async () => {
        for await (const piece of remote.stdout) received += (piece as Uint8Array).byteLength;
      })(),
    ]);
    expect(received).toBe(sizeBytes);
  });

  test('ends a program if the caller aborts', async () => {
    await using connection = await connectSsh(server.destination, server, context);
    const stop = new AbortController();
    const reason = new Error('stopped by the test');
    const remote = await connection.exec('sleep 1000', stop.signal);
    const reading = remote.stdout.toArray();
    stop.abort(reason);
    await expect(reading).rejects.toBe(reason);
    expect(await remote.exited).toEqual({ exitStatus: null, signal: null });
    await expect(connection.exec('true', stop.signal)).rejects.toBe(reason);
  });

  test('reports that it was closed, and refuses further work', async () => {
    const connection = await connectSsh(server.destination, server, context);
    const remote = await connection.exec('sleep 1000', context.signal);
    const store = connection.store(server.directory);
    await connection[Symbol.asyncDispose]();
    expect(await connection.closed).toBeNull();
    expect(await remote.exited).toEqual({ exitStatus: null, signal: null });
    await expect(store.remove('x', context.signal)).rejects.toMatchObject({ code: 'connection-lost' });
    await expect(connection.exec('true', context.signal)).rejects.toMatchObject({ code: 'connection-lost' });
    await connection[Symbol.asyncDispose]();
  });

  test('stores bytes in a directory there', async () => {
    const directory = join(server.directory, 'spool');
    await mkdir(directory);
    await using connection = await connectSsh(server.destination, server, context);
    expect(connection.cipher).toBe('aes128-gcm@openssh.com');
    const store = connection.store(directory);
    await store.put('a', [Buffer.from('hello '), Buffer.from('world')], context);
    expect(await readFile(join(directory, 'a'), 'utf8')).toBe('hello world');
  });
});
