import type { Client, ConnectConfig, NegotiatedAlgorithms, SFTPWrapper } from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import { Failure } from '../failure.ts';
import { optionsFor, type SshHost } from './config/ssh-config.ts';
import { shellLine } from '../quote-for-shell.ts';
import type { SshTransport } from './transport.ts';
import { nameOf, timedOut } from './open-transport.ts';
import { hostKeyAlgorithms, readKnownHosts, refuseHostKey } from './host-key.ts';
import { KEEPALIVE_INTERVAL_MS } from './liveness.ts';
import { LoginWalk, planLogin } from './login.ts';
import { SshOffers } from './offers.ts';

/** A connection after the login. */
export interface LoggedIn {
  host: SshHost;
  transport: SshTransport;
  client: Client;
  sftp: SFTPWrapper;
  /** SSH's name of the cipher for sent data. */
  cipher: string;
}

/** From the first byte to the end of the login. An agent may have to ask the user first. */
const LOGIN_TIMEOUT_MS = 60_000;
/** Keeps ssh2 from ending a connection after unanswered keep-alives; liveness.ts does that instead. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** The outcome of a handshake, collected from ssh2's various events and callbacks. */
interface HandshakeNotes {
  refusedKey: Failure | null;
  errors: SshError[];
  negotiated: NegotiatedAlgorithms | null;
  offers: SshOffers;
}

/** ssh2 gives the origin of an error in `level`: client-authentication, client-timeout, handshake, agent, … */
type SshError = Error & { level?: string };

/**
 * Logs in over the transport and opens SFTP. Throws the Failures that `connectSsh` names. If it throws, the caller closes the
 * transport.
 */
export async function handshake(host: SshHost, transport: SshTransport): Promise<LoggedIn> {
  const [known, plan] = await Promise.all([readKnownHosts(host), planLogin(host)]);
  const walk = new LoginWalk(plan);
  const notes: HandshakeNotes = { refusedKey: null, errors: [], negotiated: null, offers: new SshOffers() };
  // Without these callbacks it prints to the console.
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
    debug: notes.offers.note,
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
    return { host, transport, client, sftp, cipher: notes.negotiated?.cs.cipher ?? '' };
  } catch (error) {
    throw await explainHandshake(error as Error, { host, transport, walk, notes });
  }
}

async function explainHandshake(
  thrown: Error,
  {
    host,
    transport,
    walk,
    notes,
  }: { host: SshHost; transport: SshTransport; walk: LoginWalk; notes: HandshakeNotes },
): Promise<Failure> {
  if (notes.refusedKey !== null) return notes.refusedKey;
  const cause = notes.errors[0] ?? thrown;
  const { level, message } = cause as SshError;
  if (level === 'client-authentication') return walk.refused(host, null, cause);
  if (level === 'agent') return walk.refused(host, `the agent did not sign: ${message}`, cause);
  if (/authentication failures/i.test(message)) return walk.refused(host, message, cause);
  const nothingInCommon = notes.offers.explain(message, host, cause);
  if (nothingInCommon !== null) return nothingInCommon;
  if (level === 'client-timeout') return timedOut(host, LOGIN_TIMEOUT_MS);
  if (/subsystem|SFTP session|packet length/i.test(message))
    return new Failure('transfer-failed', `${nameOf(host)} offers no working SFTP: ${message}.`, {
      advice:
        'In its sshd_config, set: Subsystem sftp internal-sftp. The start-up files of the shell there must not print anything.',
      cause,
    });
  const complaint = transport.proxyComplaint();
  return new Failure(
    'host-unreachable',
    `No ssh connection with ${nameOf(host)}: ${complaint === '' ? message : complaint}`,
    {
      advice: `Try: ${shellLine(['ssh', ...optionsFor(host), host.destination, 'true'])}`,
      transient: level !== 'handshake',
      cause,
    },
  );
}
