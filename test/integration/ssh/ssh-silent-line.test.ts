import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { connectSsh } from '../../../src/store/sftp/ssh-connection.ts';
import { startSshServer, type TestSshServer } from '../../support/ssh/ssh-server.ts';
import { describeWithTools } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal, report: () => undefined };
/** Silence is noticed after 20 s; the rest allows for a busy machine. */
const BOUND_MS = 30_000;

/** Forwards TCP to a port until it is frozen: then it stays connected, but forwards nothing. */
class FreezableProxy {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  constructor(targetPort: number) {
    this.#server = createServer((near) => {
      const far = connect(targetPort, '127.0.0.1');
      this.#sockets.push(near, far);
      near.on('data', (data) => far.write(data)).on('error', () => far.destroy());
      far.on('data', (data) => near.write(data)).on('error', () => near.destroy());
    });
  }
  listen(): Promise<number> {
    return new Promise((resolve) => {
      this.#server.listen(0, '127.0.0.1', () => resolve((this.#server.address() as AddressInfo).port));
    });
  }
  freeze(): void {
    for (const socket of this.#sockets) socket.pause();
  }
  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

describeWithTools('a line that falls silent', ['ssh', 'sshd'], () => {
  let server: TestSshServer;
  beforeAll(async () => {
    server = await startSshServer();
  });
  afterAll(async () => {
    await server.stop();
  });

  test('fails all pending and later operations', async () => {
    const proxy = new FreezableProxy(server.port);
    const port = await proxy.listen();
    const sshConfigFile = await server.configWith(
      `Host server\n  Port ${port}\n  HostKeyAlias [127.0.0.1]:${server.port}`,
    );
    await using connection = await connectSsh('server', { sshConfigFile }, context);
    const remote = await connection.exec('cat', context.signal);
    const store = connection.store(server.directory);
    proxy.freeze();
    const started = performance.now();
    const reading = remote.stdout.toArray();
    const outcomes = await Promise.allSettled([
      reading,
      store.get('ssh_config', context.signal)[Symbol.asyncIterator]().next(),
      store.remove('nothing', context.signal),
      connection.exec('true', context.signal),
    ]);
    expect(performance.now() - started).toBeLessThan(BOUND_MS);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'connection-lost' } });
    expect(await remote.exited).toEqual({ exitStatus: null, signal: null });
    await expect(connection.exec('true', context.signal)).rejects.toMatchObject({ code: 'connection-lost' });
    await expect(store.remove('nothing', context.signal)).rejects.toMatchObject({ code: 'connection-lost' });
    proxy.stop();
  });
});
