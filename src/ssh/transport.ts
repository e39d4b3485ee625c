import type { Duplex } from 'node:stream';

/** The bytes to and from an ssh server, however they get there. */
export interface SshTransport extends Disposable {
  stream: Duplex;
  bytesReceived: () => number;
  /** What the proxy program printed about its trouble; empty for a direct connection. */
  proxyComplaint: () => string;
}
