import { createRequire } from 'node:module';
import type { Client, ConnectConfig, NegotiatedAlgorithms, SFTPWrapper } from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import type { Context } from '../events.ts';
import { Failure } from '../failure.ts';
import { readSshHost, type SshHost } from '../system/ssh-config.ts';
import { nameOf, openSshTransport, timedOut, type SshTransport } from '../system/ssh-transport.ts';
import { SftpSession } from './sftp-session.ts';
import { openSftpStore } from './sftp-store.ts';
import { hostKeyAlgorithms, readKnownHosts, refuseHostKey } from './ssh-host-key.ts';
import { KEEPALIVE_INTERVAL_MS, watchForSilence } from './ssh-liveness.ts';
import { LoginWalk, planLogin } from './ssh-login.ts';
import { startRemoteProcess, type RemoteProcess } from './ssh-remote-process.ts';
import type { Store } from './store.ts';
import { untilAborted } from './until-aborted.ts';

/** A line to another machine: its files by SFTP, and its programs. */
export interface SshConnection extends AsyncDisposable {
  /** As it was typed. */
  destination: string;
  /** The cipher of what is sent, as SSH names it. */
  cipher: string;
  /** Whether ssh2's compiled ciphers are in use; without them the line is several times slower. */
  nativeCiphers: boolean;
  /**
   * Starts a command line in the login shell there. Throws Failure `connection-lost`. When `signal` is aborted, the
   * program is asked to end and given up.
   */
  exec(command: string, signal: AbortSignal): Promise<RemoteProcess>;
  /** A store in a directory there, by its absolute path. It lives as long as the connection. */
  store(directory: string): Store;
  /**
   * Resolves when the line is gone: with the failure that all pending operations got, too, or with null when it was
   * closed from here.
   */
  closed: Promise<Failure | null>;
}

export interface ConnectOptions {
  /** An ssh_config(5) file to use instead of the person's own. */
  sshConfigFile: string | null;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 20_000;
/** From the first byte to being logged in: an agent may have to ask the person first. */
const LOGIN_TIMEOUT_MS = 60_000;
const CLOSE_LIMIT_MS = 2000;
/** ssh2 itself ends a line after so many unanswered keep-alives; see ssh-liveness.ts for what does it instead. */
const NEVER = Number.MAX_SAFE_INTEGER;

/**
 * Connects and logs in as `ssh` would with the same configuration, without ever asking. Nothing is sent before the
 * host key is found in known_hosts. Throws Failure `usage`, `host-unreachable` (transient), `host-key-unknown`,
 * `host-key-changed`, `login-refused` or `transfer-failed` (no SFTP there).
 */
export async function connectSsh(
  destination: string,
  { sshConfigFile }: ConnectOptions,
  context: Context,
): Promise<SshConnection> {
  const { signal } = context;
  const host = await readSshHost(destination, sshConfigFile, signal);
  const timeoutMs = host.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
  const transport = await openSshTransport(host, { signal, timeoutMs });
  try {
    return await untilAborted(signal, () => handshake(host, transport));
  } catch (error) {
    transport[Symbol.dispose]();
    throw error;
  }
}

/** What became of a handshake, collected from ssh2's several ways of telling. */
interface HandshakeNotes {
  refusedKey: Failure | null;
  errors: SshError[];
  negotiated: NegotiatedAlgorithms | null;
}

/** ssh2 says in `level` who raised an error: client-authentication, client-timeout, handshake, agent, … */
type SshError = Error & { level?: string };

async function handshake(host: SshHost, transport: SshTransport): Promise<SshConnection> {
  const [known, plan] = await Promise.all([readKnownHosts(host), planLogin(host)]);
  const walk = new LoginWalk(plan);
  const notes: HandshakeNotes = { refusedKey: null, errors: [], negotiated: null };
  // without these callbacks it prints to the console
  const sftpClient = new SftpClient('vmferry', {
    error: () => undefined,
    end: () => undefined,
    close: () => undefined,
  });
  const { client } = sftpClient as unknown as { client: Client };
  client.on('error', (error) => notes.errors.push(error));
  client.on('handshake', (negotiated) => (notes.negotiated ??= negotiated));
  const config: ConnectConfig = {
    sock: transport.stream,
    username: host.user,
    authHandler: walk.handler(host.user),
    hostVerifier: (key: Buffer) => {
      notes.refusedKey = refuseHostKey(known, host, key);
      return notes.refusedKey === null;
    },
    algorithms: {
      serverHostKey: hostKeyAlgorithms(known, host) as NonNullable<
        NonNullable<ConnectConfig['algorithms']>['serverHostKey']
      >,
      compress: ['none'],
    },
    keepaliveInterval: KEEPALIVE_INTERVAL_MS,
    keepaliveCountMax: NEVER,
    readyTimeout: LOGIN_TIMEOUT_MS,
  };
  try {
    const sftp = await sftpClient.connect(config);
    return new OpenConnection({ host, transport, client, sftp, cipher: notes.negotiated?.cs.cipher ?? '' });
  } catch (error) {
    throw explainHandshake(error as Error, { host, transport, walk, notes });
  }
}

function explainHandshake(
  thrown: Error,
  {
    host,
    transport,
    walk,
    notes,
  }: { host: SshHost; transport: SshTransport; walk: LoginWalk; notes: HandshakeNotes },
): Failure {
  if (notes.refusedKey !== null) return notes.refusedKey;
  const cause = notes.errors[0] ?? thrown;
  const { level, message } = cause as SshError;
  if (level === 'client-authentication') return walk.refused(host, null, cause);
  if (level === 'agent') return walk.refused(host, `the agent did not sign: ${message}`, cause);
  if (/authentication failures/i.test(message)) return walk.refused(host, message, cause);
  if (level === 'client-timeout') return timedOut(host, LOGIN_TIMEOUT_MS);
  if (/subsystem|SFTP session|packet length/i.test(message))
    return new Failure('transfer-failed', `${nameOf(host)} offers no working SFTP: ${message}.`, {
      advice:
        'In its sshd_config, set: Subsystem sftp internal-sftp. The shell’s start-up files there must print nothing.',
      cause,
    });
  const complaint = transport.proxyComplaint();
  return new Failure(
    'host-unreachable',
    `No ssh connection with ${nameOf(host)}: ${complaint === '' ? message : complaint}`,
    {
      advice: `Try: ssh ${host.sshConfigFile === null ? '' : `-F ${host.sshConfigFile} `}${host.destination} true`,
      transient: level !== 'handshake',
      cause,
    },
  );
}

interface ConnectionParts {
  host: SshHost;
  transport: SshTransport;
  client: Client;
  sftp: SFTPWrapper;
  cipher: string;
}

class OpenConnection implements SshConnection {
  readonly destination: string;
  readonly cipher: string;
  readonly nativeCiphers = hasNativeCiphers();
  readonly closed: Promise<Failure | null>;
  readonly #parts: ConnectionParts;
  readonly #session: SftpSession;
  readonly #lost: Promise<Failure>;
  #closing = false;

  constructor(parts: ConnectionParts) {
    const { host, transport, client } = parts;
    this.#parts = parts;
    this.destination = host.destination;
    this.cipher = parts.cipher;
    this.#session = new SftpSession(parts.sftp, host.destination);
    let problem: string | null = null;
    const watch = watchForSilence(transport.bytesReceived, (silentMs) => {
      problem ??= `nothing has come from it for ${silentMs / 1000} s`;
      transport.stream.destroy();
    });
    client.on('error', (error) => (problem ??= error.message));
    this.#lost = new Promise((resolve) => {
      client.on('close', () => {
        watch[Symbol.dispose]();
        transport[Symbol.dispose]();
        const why = problem ?? (transport.proxyComplaint() || 'the other side closed it');
        const failure = this.#closing
          ? new Failure('connection-lost', `The connection with ${nameOf(host)} was closed.`)
          : new Failure('connection-lost', `The connection with ${nameOf(host)} is lost: ${why}.`, {
              advice: 'Check the network and that the machine is up, then start again.',
              transient: true,
            });
        this.#session.end(failure);
        resolve(failure);
      });
    });
    this.closed = this.#lost.then((failure) => (this.#closing ? null : failure));
  }

  exec(command: string, signal: AbortSignal): Promise<RemoteProcess> {
    return untilAborted(signal, () =>
      Promise.race([
        startRemoteProcess(this.#parts.client, command, { signal, lost: this.#lost }),
        this.#lost.then((failure) => {
          throw failure;
        }),
      ]),
    );
  }

  store(directory: string): Store {
    return openSftpStore(this.#session, directory, this.destination);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#parts.client.end();
    const giveUp = setTimeout(() => this.#parts.transport.stream.destroy(), CLOSE_LIMIT_MS);
    await this.closed;
    clearTimeout(giveUp);
  }
}

/** ssh2 compiles its ciphers when it is installed; there is no public way to ask whether that went well. */
function hasNativeCiphers(): boolean {
  const crypto: unknown = createRequire(import.meta.url)('ssh2/lib/protocol/crypto.js');
  return (crypto as { bindingAvailable?: boolean }).bindingAvailable === true;
}
