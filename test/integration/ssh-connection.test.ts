import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectSsh } from '../../src/store/ssh-connection.ts';
import { startSshServer, type TestSshServer } from '../support/ssh-server.ts';
import { describeWithTools } from '../support/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };

describeWithTools('a connection by ssh', ['ssh', 'sshd', 'ssh-keygen'], () => {
  let server: TestSshServer;
  beforeAll(async () => {
    server = await startSshServer();
  });
  afterAll(async () => {
    await server.stop();
  });

  test('runs a program and hands over its input, output and exit status', async () => {
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
