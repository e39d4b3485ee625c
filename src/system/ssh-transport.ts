import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { Failure } from '../failure.ts';
import { expandTokens, type SshHost } from './ssh-config.ts';

/** The bytes to and from an ssh server, however they get there. */
export interface SshTransport extends Disposable {
  stream: Duplex;
  bytesReceived: () => number;
  /** What the proxy program printed about its trouble; empty for a direct connection. */
  proxyComplaint: () => string;
}

const COMPLAINT_LIMIT = 4096;
/** Before the next address of a name is tried; Node's own 250 ms gives up on slow but good lines. */
const NEXT_ADDRESS_AFTER_MS = 2000;

/**
 * Opens the way to the host: TCP with Nagle's algorithm off, or a proxy program's standard input and output.
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
  ENOTFOUND: { because: 'there is no host of that name', advice: 'Check the name.' },
  EAI_AGAIN: {
    because: 'its name cannot be looked up now',
    advice: 'Check the name and this machine’s DNS.',
  },
  ECONNREFUSED: {
    because: 'nothing listens there',
    advice: 'Check that sshd runs there, and on which port.',
  },
  EHOSTUNREACH: { because: 'no route leads to it', advice: 'Check that it is up and the network between.' },
  ENETUNREACH: { because: 'no route leads to it', advice: 'Check this machine’s network.' },
  ETIMEDOUT: {
    because: 'it does not answer',
    advice: 'Check that it is up and that no firewall is between.',
  },
};

function unreachable(host: SshHost, cause: Error): Failure {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const reason = reasons[code];
  return new Failure(
    'host-unreachable',
    `${nameOf(host)} cannot be reached: ${reason?.because ?? cause.message}.`,
    {
      advice: reason?.advice ?? 'Check that it is up and the network between.',
      transient: true,
      cause,
    },
  );
}

/** The host that did not answer in time. */
export function timedOut(host: SshHost, timeoutMs: number): Failure {
  return new Failure(
    'host-unreachable',
    `${nameOf(host)} cannot be reached: no answer within ${timeoutMs / 1000} s.`,
    { advice: 'Check that it is up and that no firewall is between.', transient: true },
  );
}

/** `host port N`, and the name that was typed where it is another. */
export function nameOf(host: SshHost): string {
  const alias = host.destination.replace(/^.*@/, '');
  const shown = alias === host.hostName ? host.hostName : `${host.destination} (${host.hostName})`;
  return `${shown} port ${host.port}`;
}

/** The shell command that leads to the host; null for a direct connection. */
export function proxyCommandLine(host: SshHost): string | null {
  if (host.proxyJump !== null) return jumpCommand(host.proxyJump, host);
  if (host.proxyCommand === null) return null;
  return expandTokens(host.proxyCommand, {
    '%': '%',
    h: host.hostName,
    n: host.destination,
    p: String(host.port),
    r: host.user,
  });
}

/** The last hop is the one that forwards; the others lead to it. No hop's key is accepted unseen, none may ask. */
function jumpCommand(proxyJump: string, host: SshHost): string {
  const hops = proxyJump.split(',');
  const last = hops.pop() ?? '';
  const words = [
    'ssh',
    ...(host.sshConfigFile === null ? [] : ['-F', host.sshConfigFile]),
    '-o',
    'BatchMode=yes',
    '-o',
    'StrictHostKeyChecking=yes',
    ...(hops.length === 0 ? [] : ['-J', hops.join(',')]),
    '-W',
    `[${host.hostName}]:${host.port}`,
    '--',
    jumpDestination(last),
  ];
  return words.map(quoteForShell).join(' ');
}

/** `user@host:port` is ProxyJump's own form; as a destination, ssh takes the port only in a URI. */
function jumpDestination(hop: string): string {
  return hop.startsWith('ssh://') || !/:\d+$/.test(hop) ? hop : `ssh://${hop}`;
}

/** One word for sh, quoted only where it must be. */
export function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

function openProxy(command: string): SshTransport {
  // a session of its own: Ctrl-C must not cut the line that the clean-up needs
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], { detached: true, stdio: 'pipe' });
  let complaint = '';
  child.on('error', (error) => (complaint ||= error.message));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-COMPLAINT_LIMIT);
  });
  const stream = new ProxyStream(child);
  return {
    stream,
    bytesReceived: () => (child.stdout as unknown as Socket).bytesRead,
    proxyComplaint: () => complaint.trim(),
    [Symbol.dispose]: () => stream.destroy(),
  };
}

/** A program's standard input and output as one stream; destroying it ends the program. */
class ProxyStream extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;

  constructor(child: ChildProcessWithoutNullStreams) {
    super({ allowHalfOpen: false });
    this.#child = child;
    child.stdout.on('data', (data: Buffer) => {
      if (!this.push(data)) child.stdout.pause();
    });
    child.stdout.on('end', () => this.push(null));
    child.on('error', (error) => this.destroy(error));
    child.stdin.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(data: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#child.stdin.write(data, done);
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    endProcessGroup(this.#child);
    done(error);
  }
}

function endProcessGroup(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    // it ended by itself meanwhile
  }
}
