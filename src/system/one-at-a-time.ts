import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from './error-code.ts';

const retryMs = 20;

/**
 * Runs `work` while no other process of this machine runs work of the same name. The lock is a socket in the abstract
 * namespace (unix(7)), which disappears with its process: nothing stale is left. False when another process still had
 * the lock after `patienceMs`; then `work` was not run.
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
