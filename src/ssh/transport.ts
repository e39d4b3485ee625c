import type { Duplex } from 'node:stream';

/** The byte stream to and from an ssh server: a direct connection or a proxy program. */
export interface SshTransport extends Disposable {
  stream: Duplex;
  bytesReceived: () => number;
  /** The error output of the proxy program; empty for a direct connection. */
  proxyComplaint: () => string;
}
