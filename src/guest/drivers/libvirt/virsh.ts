import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure, type FailureCode } from '../../../failure.ts';
import { errorCode } from '../../../system/error-code.ts';
import { run } from '../../../system/processes.ts';
import type { LibvirtHost } from './host.ts';

/** A libvirt that does not answer for so long is as good as none. */
const PATIENCE_MS = 20_000;

/** What virsh answered. */
export interface Answer {
  ok: boolean;
  text: string;
  /** What virsh printed as an error, on one line; empty if it worked. */
  problem: string;
  /** Whether there is a virsh, and a libvirt that answers it. */
  isConnected: boolean;
}

export interface AskOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number;
  /** Whether a session's libvirt may be started for the question. True unless given. */
  mayStartLibvirt?: boolean;
}

/** Talks to libvirt by its program. Nothing passes through a shell, and all output is in English. */
export class Virsh {
  readonly host: LibvirtHost;

  constructor(host: LibvirtHost) {
    this.host = host;
  }

  async ask(args: readonly string[], options: AskOptions = {}): Promise<Answer> {
    const { uri, environment, unusable } = this.host;
    if (unusable !== null) return { ok: false, text: '', problem: unusable, isConnected: false };
    const timeoutMs = options.timeoutMs ?? PATIENCE_MS;
    const env = options.mayStartLibvirt === false ? { ...environment, LIBVIRT_AUTOSTART: '0' } : environment;
    try {
      const { exitStatus, stdout, stderr } = await run('virsh', ['--quiet', '--connect', uri, ...args], {
        env,
        timeoutMs,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      if (exitStatus === 0) return { ok: true, text: stdout, problem: '', isConnected: true };
      const problem =
        exitStatus === null ? `it did not answer within ${timeoutMs / 1000} s` : errorText(stderr);
      const isConnected = exitStatus !== null && !stderr.includes('failed to connect to the hypervisor');
      return { ok: false, text: stdout, problem, isConnected };
    } catch (error) {
      options.signal?.throwIfAborted();
      const code = errorCode(error);
      if (code === '') throw error;
      const problem = code === 'ENOENT' ? 'virsh is not installed' : `virsh could not be started (${code})`;
      return { ok: false, text: '', problem, isConnected: false };
    }
  }

  /** The answer's text. Throws a Failure when it did not work: `what` begins its message. */
  async tell(
    args: readonly string[],
    what: string,
    code: FailureCode,
    options?: AskOptions,
  ): Promise<string> {
    const answer = await this.ask(args, options);
    if (answer.ok) return answer.text;
    throw new Failure(code, `${what}: ${answer.problem}.`);
  }

  /** Gives virsh a domain's XML in a file that nobody else can read. `args`: from the file's name on. */
  async askWithXml(
    xml: string,
    args: (file: string) => readonly string[],
    options?: AskOptions,
  ): Promise<Answer> {
    const directory = await mkdtemp(join(this.host.environment['TMPDIR'] || tmpdir(), 'vmferry-libvirt-'));
    try {
      const file = join(directory, 'domain.xml');
      await writeFile(file, xml, { mode: 0o600 });
      return await this.ask(args(file), options);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** `error: Failed to start domain 'web'` and `error: Cannot access storage file …` as one clause. */
function errorText(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) =>
      line
        .replace(/^error: /, '')
        .replaceAll(/[\p{C}]/gu, ' ')
        .trim(),
    )
    .filter((line) => line !== '');
  const text = lines.join(': ').slice(0, 600).replace(/\.$/, '');
  return text === '' ? 'virsh failed and does not say why' : text;
}
