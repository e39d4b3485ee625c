import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from './error-code.ts';

const retryMs = 20;

/**
 * Does something while no other process of this machine does it under the same name. What is held is a socket in the
 * abstract namespace (unix(7)): it goes when its process does, so nothing stale can be left. False: it was not done,
 * for another one was still at it after `patienceMs`.
 */
export async function oneAtATime(
  name: string,
  patienceMs: number,
  work: () => Promise<void>,
): Promise<boolean> {
  // The name of such a socket has at most 107 bytes.
  const socket = `\0vmferry-${createHash('sha256').update(name).digest('hex')}`;
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const held = await hold(socket);
    if (held === null) {
      if (performance.now() >= deadline) return false;
      await delay(retryMs);
      continue;
    }
    try {
      await work();
      return true;
    } finally {
      await new Promise((resolve) => held.close(resolve));
    }
  }
}

function hold(socket: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.once('error', (error) => {
      if (errorCode(error) === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(socket, () => resolve(server));
  });
}
