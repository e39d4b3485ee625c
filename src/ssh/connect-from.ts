import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';

/** The other machine tried, and got no connection. */
export class UnreachableFromThere extends Error {}

/** SSH_OPEN_CONNECT_FAILED of RFC 4254, 5.1. */
const CONNECT_FAILED = 2;

/**
 * A TCP connection that the other machine makes, through its sshd (`direct-tcpip`, RFC 4254, 7.2). Rejects with UnreachableFromThere, or
 * with another error if that machine was not asked: its sshd does not allow it (`AllowTcpForwarding`), or there is no connection with it. When
 * aborted, it may still be made, and is closed then.
 */
export function connectFrom(
  client: Client,
  { host, port }: { host: string; port: number },
  signal: AbortSignal,
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
      if (error !== undefined) {
        const { reason } = error as Error & { reason?: unknown };
        reject(reason === CONNECT_FAILED ? new UnreachableFromThere() : error);
        return;
      }
      if (signal.aborted) channel.on('error', () => undefined).destroy();
      resolve(channel);
    });
  });
}
