import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';

/**
 * A TCP connection that the other machine makes, through its sshd (`direct-tcpip`, RFC 4254, 7.2). Rejects with ssh2's error if it
 * cannot be made, or is not allowed there (`AllowTcpForwarding`). When aborted, it may still be made, and is closed then.
 */
export function connectFrom(
  client: Client,
  { host, port }: { host: string; port: number },
  signal: AbortSignal,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
      if (error !== undefined) {
        reject(error);
        return;
      }
      if (signal.aborted) channel.on('error', () => undefined).destroy();
      resolve(channel);
    });
  });
}
