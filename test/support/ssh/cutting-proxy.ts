import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Forwards TCP to a port, and cuts its connections as the test wants. */
export interface CuttingProxy extends AsyncDisposable {
  port: number;
  /** How many connections were cut so far. */
  cuts(): number;
}

/** @param lifeBytes called for each connection: after how many bytes, in both directions together, it is cut */
export async function startCuttingProxy(targetPort: number, lifeBytes: () => number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let cuts = 0;
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    let leftBytes = lifeBytes();
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    const passOn = (from: Socket, to: Socket): void => {
      sockets.add(from);
      from.on('error', end).on('close', () => {
        sockets.delete(from);
        end();
      });
      from.on('data', (data) => {
        leftBytes -= data.length;
        // Bytes from before the cut arrive.
        if (leftBytes >= 0) {
          if (!to.write(data)) {
            from.pause();
            to.once('drain', () => from.resume());
          }
          return;
        }
        if (!near.destroyed) cuts++;
        end();
      });
    };
    passOn(near, far);
    passOn(far, near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cuts: () => cuts,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
