import type { Duplex } from 'node:stream';
import type { Context } from '../../events.ts';
import { Failure } from '../../failure.ts';
import { readSshHost } from '../../ssh/config/read-ssh-host.ts';
import { nameOf, openSshTransport } from '../../ssh/open-transport.ts';
import { SftpRefusal } from './refusal.ts';
import { SftpSession } from './session.ts';
import { openSftpStore } from './sftp-store.ts';
import { NewRemoteFile, openRemoteFile, type RemoteFile } from './whole-file.ts';
import { connectFrom } from '../../ssh/connect-from.ts';
import { hasNativeCiphers } from '../../ssh/ciphers.ts';
import { handshake, type LoggedIn } from '../../ssh/handshake.ts';
import { watchForSilence } from '../../ssh/liveness.ts';
import { startRemoteProcess, type RemoteProcess } from '../../ssh/remote-process.ts';
import type { PlacedStore } from '../store.ts';
import { paceFor, type Pace } from '../../pipeline/pace.ts';
import { untilAborted } from '../../pipeline/until-aborted.ts';
import type { RateLimit } from '../../rate-limit.ts';

/** A connection to another machine: SFTP for files, and commands. */
export interface SshConnection extends AsyncDisposable {
  /** As it was typed. */
  destination: string;
  /** SSH's name of the cipher for sent data. */
  cipher: string;
  /** Whether ssh2's compiled ciphers are in use; without them the connection is several times slower. */
  nativeCiphers: boolean;
  /**
   * Starts a command line in the login shell there. Throws Failure `connection-lost`. If `signal` is aborted, the program is asked
   * to end, and its channel is closed.
   */
  exec(command: string, signal: AbortSignal): Promise<RemoteProcess>;
  /** A TCP connection that is made from there. Rejects as `connectFrom` does, and when the connection is lost. */
  connectFrom(to: { host: string; port: number }, signal: AbortSignal): Promise<Duplex>;
  /**
   * A store in a directory there, by absolute path. Usable as long as the connection is.
   * @param unsettledFolders one set for all connections to this store: what the last one could not finish, the next one does
   */
  store(directory: string, unsettledFolders?: Set<string>): PlacedStore;
  /** A file there: by an absolute path, or one from the directory in which logins begin. Throws as `openRemoteFile`. */
  openFile(path: string, signal: AbortSignal): Promise<RemoteFile>;
  /** A new file there. Throws as `NewRemoteFile.open`. */
  newFile(path: string, signal: AbortSignal): Promise<NewRemoteFile>;
  /** The absolute path of the directory in which logins begin there. */
  loginDirectory(signal: AbortSignal): Promise<string>;
  /**
   * Resolves when the connection has ended: with the failure that all pending operations got as well, or with null if this side
   * closed it.
   */
  closed: Promise<Failure | null>;
}

export interface ConnectOptions {
  /** An ssh_config(5) file to use instead of the user's own. */
  sshConfigFile: string | null;
  /** Overrides the configuration. */
  port?: number | null;
  /** For the content of files, in both directions together. */
  limitRate?: RateLimit | null;
  /** Called while vmferry waits for the other side, to do other work meanwhile. */
  meanwhile?: () => void;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 20_000;
const CLOSE_LIMIT_MS = 2000;

/**
 * Connects and logs in as `ssh` would with the same configuration, without asking the user. Nothing is sent before the host key
 * was found in known_hosts. Throws Failure `usage`, `host-unreachable` (transient), `host-key-unknown`, `host-key-changed`,
 * `login-refused` or `transfer-failed` (no SFTP there).
 */
export async function connectSsh(
  destination: string,
  { sshConfigFile, port = null, limitRate = null, meanwhile }: ConnectOptions,
  context: Context,
): Promise<SshConnection> {
  const { signal } = context;
  const host = await readSshHost(destination, { sshConfigFile, givenPort: port }, signal);
  const timeoutMs = host.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
  const transport = await openSshTransport(host, { signal, timeoutMs });
  meanwhile?.();
  const pace = limitRate === null ? null : paceFor(limitRate, () => new Date());
  try {
    return await untilAborted(
      signal,
      async () => new OpenConnection(await handshake(host, transport), port, pace),
    );
  } catch (error) {
    transport[Symbol.dispose]();
    throw error;
  }
}

class OpenConnection implements SshConnection {
  readonly destination: string;
  readonly cipher: string;
  readonly nativeCiphers = hasNativeCiphers();
  readonly closed: Promise<Failure | null>;
  readonly #parts: LoggedIn;
  /** As it was given, not from the configuration. */
  readonly #port: number | null;
  readonly #session: SftpSession;
  readonly #lost: Promise<Failure>;
  #closing = false;

  constructor(parts: LoggedIn, port: number | null, pace: Pace | null) {
    const { host, transport, client } = parts;
    this.#parts = parts;
    this.#port = port;
    this.destination = host.destination;
    this.cipher = parts.cipher;
    this.#session = new SftpSession(parts.sftp, host.destination, pace);
    let problem: string | null = null;
    const watch = watchForSilence(transport.bytesReceived, (silentMs) => {
      problem ??= `it has sent nothing for ${silentMs / 1000} s`;
      transport.stream.destroy();
    });
    client.on('error', (error) => (problem ??= error.message));
    this.#lost = new Promise((resolve) => {
      client.on('close', () => {
        watch[Symbol.dispose]();
        transport[Symbol.dispose]();
        const why = problem ?? (transport.proxyComplaint() || 'the other side closed the connection');
        const failure = this.#closing
          ? new Failure('connection-lost', `The connection with ${nameOf(host)} was closed.`)
          : new Failure('connection-lost', `The connection with ${nameOf(host)} was lost: ${why}.`, {
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
    return this.#untilLost(signal, () =>
      startRemoteProcess(this.#parts.client, command, { signal, lost: this.#lost }),
    );
  }

  connectFrom(to: { host: string; port: number }, signal: AbortSignal): Promise<Duplex> {
    return this.#untilLost(signal, () => connectFrom(this.#parts.client, to, signal));
  }

  #untilLost<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    return untilAborted(signal, () =>
      Promise.race([
        work(),
        this.#lost.then((failure) => {
          throw failure;
        }),
      ]),
    );
  }

  store(directory: string, unsettledFolders = new Set<string>()): PlacedStore {
    return openSftpStore(this.#session, directory, this.destination, this.#port, unsettledFolders);
  }

  openFile(path: string, signal: AbortSignal): Promise<RemoteFile> {
    return openRemoteFile(this.#session, path, `${this.destination}:${path}`, signal);
  }

  newFile(path: string, signal: AbortSignal): Promise<NewRemoteFile> {
    return NewRemoteFile.open(this.#session, path, `${this.destination}:${path}`, signal);
  }

  async loginDirectory(signal: AbortSignal): Promise<string> {
    try {
      return await untilAborted(signal, () => this.#session.absolutePath('.'));
    } catch (error) {
      if (!(error instanceof SftpRefusal)) throw error;
      throw new Failure(
        'transfer-failed',
        `The SFTP server of ${this.destination} does not report the directory in which logins begin: ${error.message}.`,
        { advice: 'Give an absolute path there.', cause: error },
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#parts.client.end();
    const giveUp = setTimeout(() => this.#parts.transport.stream.destroy(), CLOSE_LIMIT_MS);
    await this.closed;
    clearTimeout(giveUp);
  }
}
