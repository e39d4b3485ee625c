import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { UnreachableFromThere } from '../../../src/ssh/connect-from.ts';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import { describeWithTools } from '../../support/programs/tools.ts';
import { startSshServer } from '../../support/ssh/ssh-server.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
const { signal } = context;

describeWithTools('a connection that the other machine makes', ['ssh', 'sshd', 'ssh-keygen'], () => {
  let greeter: Server | null = null;
  afterEach(() => {
    greeter?.close();
  });

  async function serve(): Promise<{ host: string; port: number }> {
    greeter = createServer((socket) => socket.on('error', () => undefined).end('220 mail\n'));
    greeter.listen(0, '127.0.0.1');
    await once(greeter, 'listening');
    return { host: '127.0.0.1', port: (greeter.address() as AddressInfo).port };
  }

  test('carries bytes; a closed port is told from a server that makes none', async () => {
    await using server = await startSshServer();
    await using connection = await connectSsh(server.destination, server, context);
    const to = await serve();
    const stream = await connection.connectFrom(to, signal);
    const [greeting] = (await once(stream, 'data')) as [Buffer];
    expect(greeting.toString()).toBe('220 mail\n');
    stream.destroy();
    greeter?.close();
    await once(greeter ?? stream, 'close');
    await expect(connection.connectFrom(to, signal)).rejects.toBeInstanceOf(UnreachableFromThere);
  });

  test('is refused by a server that makes none', async () => {
    await using server = await startSshServer({ sshdConfig: ['AllowTcpForwarding no'] });
    await using connection = await connectSsh(server.destination, server, context);
    const refused = connection.connectFrom(await serve(), signal);
    await expect(refused).rejects.not.toBeInstanceOf(UnreachableFromThere);
  });

  test('fails when the connection is lost', async () => {
    await using server = await startSshServer();
    await using connection = await connectSsh(server.destination, server, context);
    await server.stop();
    const lost = connection.connectFrom(await serve(), signal);
    await expect(lost).rejects.not.toBeInstanceOf(UnreachableFromThere);
  });
});
