import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { shellLine } from '../quote-for-shell.ts';
import { expandTokens, type SshHost } from './config/ssh-config.ts';
import type { SshTransport } from './transport.ts';

const COMPLAINT_LIMIT = 4096;
const COMPLAINT_WAIT_MS = 500;

/** The shell command that connects to the host; null for a direct connection. */
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

/** The last hop forwards; the others lead to it. Unknown host keys of hops are refused, and no hop may ask the user. */
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
  return shellLine(words);
}

/** ProxyJump accepts `user@host:port`; as a destination, ssh accepts a port only in a URI. */
function jumpDestination(hop: string): string {
  return hop.startsWith('ssh://') || !/:\d+$/.test(hop) ? hop : `ssh://${hop}`;
}

/** Starts the proxy program; disposing the transport ends it. */
export function openProxy(command: string): SshTransport {
  // A session of its own: Ctrl-C must not end the connection that the clean-up needs.
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
    child.stdout.on('end', () => {
      // Its error output may come later; but a program that it left behind must not delay the end.
      const giveUp = setTimeout(() => this.push(null), COMPLAINT_WAIT_MS);
      child.once('close', () => {
        clearTimeout(giveUp);
        this.push(null);
      });
    });
    child.on('error', (error) => this.destroy(error));
    // Ignore write errors after the program has ended: the end of its output reports that, after its error output.
    child.stdin.on('error', () => undefined);
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(data: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#child.stdin.write(data, () => done());
  }

  override _final(done: () => void): void {
    // Node destroys the input of a program that has ended, and then never calls back.
    if (this.#child.stdin.destroyed) done();
    else this.#child.stdin.end(() => done());
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
    // It has ended by itself.
  }
}
