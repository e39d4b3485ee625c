import { connect, type Socket } from 'node:net';
import { Failure } from '../failure.ts';
import type { SshHost } from './config/ssh-config.ts';
import type { SshTransport } from './transport.ts';
import { openProxy, proxyCommandLine } from './proxy.ts';

/** The time before the next address of a name is tried. Node's 250 ms would give up on slow but good connections. */
const NEXT_ADDRESS_AFTER_MS = 2000;

/**
 * Connects to the host: by TCP with Nagle's algorithm off, or through a proxy program.
 * Throws Failure `host-unreachable` (transient).
 */
export async function openSshTransport(
  host: SshHost,
  options: { signal: AbortSignal; timeoutMs: number },
): Promise<SshTransport> {
  options.signal.throwIfAborted();
  const command = proxyCommandLine(host);
  if (command !== null) return openProxy(command);
  return openTcp(host, options);
}

async function openTcp(
  host: SshHost,
  { signal, timeoutMs }: { signal: AbortSignal; timeoutMs: number },
): Promise<SshTransport> {
  const socket = connect({
    host: host.hostName,
    port: host.port,
    noDelay: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER_MS,
  });
  await connected(socket, host, signal, timeoutMs);
  return {
    stream: socket,
    bytesReceived: () => socket.bytesRead,
    proxyComplaint: () => '',
    [Symbol.dispose]: () => socket.destroy(),
  };
}

function connected(socket: Socket, host: SshHost, signal: AbortSignal, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error: unknown): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.off('connect', onConnect).off('error', onError);
      if (error === null) return resolve();
      socket.on('error', () => undefined).destroy();
      reject(error as Error);
    };
    const onConnect = (): void => settle(null);
    const onError = (error: Error): void => settle(unreachable(host, error));
    const onAbort = (): void => settle(signal.reason);
    const timer = setTimeout(() => settle(timedOut(host, timeoutMs)), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', onConnect).once('error', onError);
  });
}

const reasons: Readonly<Record<string, { because: string; advice: string }>> = {
  ENOTFOUND: { because: 'there is no host with that name', advice: 'Check the name.' },
  EAI_AGAIN: {
    because: 'its name cannot be looked up now',
    advice: 'Check the name and this machine’s DNS.',
  },
  ECONNREFUSED: {
    because: 'nothing listens there',
    advice: 'Check that sshd runs there, and on which port.',
  },
  EHOSTUNREACH: {
    because: 'there is no route to it',
    advice: 'Check that it is up, and the network between.',
  },
  ENETUNREACH: { because: 'there is no route to it', advice: 'Check this machine’s network.' },
  ETIMEDOUT: {
    because: 'it does not answer',
    advice: 'Check that it is up, and that no firewall blocks the connection.',
  },
};

function unreachable(host: SshHost, cause: Error): Failure {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const reason = reasons[code];
  return new Failure(
    'host-unreachable',
    `${nameOf(host)} cannot be reached: ${reason?.because ?? cause.message}.`,
    {
      advice: reason?.advice ?? 'Check that it is up, and the network between.',
      transient: true,
      cause,
    },
  );
}

/** The failure for a host that did not answer in time. */
export function timedOut(host: SshHost, timeoutMs: number): Failure {
  return new Failure(
    'host-unreachable',
    `${nameOf(host)} cannot be reached: no answer within ${timeoutMs / 1000} s.`,
    { advice: 'Check that it is up, and that no firewall blocks the connection.', transient: true },
  );
}

/** `host port N`, with the typed name if it differs. */
export function nameOf(host: SshHost): string {
  const alias = host.destination.replace(/^.*@/, '');
  const shown = alias === host.hostName ? host.hostName : `${host.destination} (${host.hostName})`;
  return `${shown} port ${host.port}`;
}
