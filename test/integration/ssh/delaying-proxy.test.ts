import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, expect, test } from '@jest/globals';
import { benchModule } from '../../support/bench-module.ts';
import { seededBytes } from '../../support/images/images.ts';

/*
 * The simulated long connection of the benchmarks. The tests check that nothing arrives too early. How late it arrives depends on
 * the machine, and is not tested.
 */
interface Proxy {
  port: number;
  close: () => Promise<void>;
}

const { startDelayingProxy } = await benchModule<{
  startDelayingProxy: (options: {
    listenPort: number;
    address: string;
    port: number;
    oneWayMs: number;
    limitBytes: number;
  }) => Promise<Proxy>;
}>('lines/delaying-proxy.mjs');

const ONE_WAY_MS = 25;
/** Timers may fire a little early. */
const EARLY_MS = 2;
const opened: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

/** A connection, over the proxy, to a server that handles it like this; returns the client's end. */
async function lineTo(serve: (socket: Socket) => void, limitBytes = 2 ** 20): Promise<Socket> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  opened.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const proxy = await startDelayingProxy({
    listenPort: 0,
    address: '127.0.0.1',
    port,
    oneWayMs: ONE_WAY_MS,
    limitBytes,
  });
  opened.push(() => proxy.close());
  const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  opened.push(() => client.destroy());
  await once(client, 'connect');
  return client;
}

test('a byte and its answer take one round trip, and the first byte two', async () => {
  const beforeMs = performance.now();
  const client = await lineTo((socket) => socket.pipe(socket));
  for (const trips of [2, 1, 1]) {
    const startedMs = trips === 2 ? beforeMs : performance.now();
    client.write('x');
    await once(client, 'data');
    expect(performance.now() - startedMs).toBeGreaterThan(trips * 2 * ONE_WAY_MS - EARLY_MS);
  }
});

test('all bytes arrive in order in both directions at once, and then both ends', async () => {
  const bytes = Buffer.from(seededBytes(7, 8 * 2 ** 20));
  const client = await lineTo((socket) => socket.pipe(socket));
  client.end(bytes);
  expect((await buffer(client)).equals(bytes)).toBe(true);
});

test('the bytes in flight and the bytes per second are limited', async () => {
  const limitBytes = 64 * 1024;
  // One more piece may have arrived when it stops reading.
  const mostAtOnceBytes = limitBytes + 64 * 1024;
  const bytes = Buffer.alloc(2 * 2 ** 20);
  const client = await lineTo((socket) => socket.resume().on('end', () => socket.end('all')), limitBytes);
  const startedMs = performance.now();
  client.end(bytes);
  expect(String(await buffer(client))).toBe('all');
  const trips = bytes.length / mostAtOnceBytes;
  expect(performance.now() - startedMs).toBeGreaterThan(trips * (ONE_WAY_MS - EARLY_MS));
});

test('a connection that breaks at one end breaks at the other', async () => {
  const client = await lineTo((socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  const broken = once(client.resume(), 'error') as Promise<[NodeJS.ErrnoException]>;
  client.write('x');
  const [{ code }] = await broken;
  expect(code).toBe('ECONNRESET');
});
