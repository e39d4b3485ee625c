import { text } from 'node:stream/consumers';
import { Failure } from '../../failure.ts';
import { shellLine } from '../../quote-for-shell.ts';
import type { RemoteInput } from '../../ssh/remote-process.ts';
import type { SshConnection } from '../../store/sftp/ssh-connection.ts';

/** Runs scripts of POSIX sh on a machine that has nothing else of ours. */
export class RemoteShell {
  readonly #connection: Pick<SshConnection, 'exec' | 'destination'>;

  constructor(connection: Pick<SshConnection, 'exec' | 'destination'>) {
    this.#connection = connection;
  }

  get host(): string {
    return this.#connection.destination;
  }

  /**
   * What the script prints. Throws Failure `transfer-failed` with its error output if its exit status is not 0, and `connection-lost`.
   * @param feed writes its standard input, which is empty otherwise
   */
  async run(
    script: string,
    signal: AbortSignal,
    feed: (input: RemoteInput) => Promise<void> = () => Promise.resolve(),
  ): Promise<string> {
    // The login shell may be any.
    const process = await this.#connection.exec(shellLine(['sh', '-c', script]), signal);
    const printed = text(process.stdout);
    printed.catch(() => undefined);
    let broken: unknown = null;
    try {
      await feed(process.stdin);
    } catch (error) {
      signal.throwIfAborted();
      broken = error;
    }
    process.stdin.end();
    const { exitStatus, signal: killedBy } = await process.exited;
    signal.throwIfAborted();
    if (exitStatus === 0 && broken === null) return printed;
    if (exitStatus === null && killedBy === null) await printed;
    throw new Failure('transfer-failed', this.#howItFailed(exitStatus ?? killedBy, process.stderrText()), {
      cause: broken,
    });
  }

  #howItFailed(status: number | string | null, complaint: string): string {
    const lines = complaint
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !isCount(line));
    const why = lines.length === 0 ? `it ended with ${status ?? 'no status'}` : lines.join('; ');
    return `A command on ${this.host} failed: ${why.replace(/\.$/, '')}.`;
  }
}

/** dd counts on standard error. */
function isCount(line: string): boolean {
  return / records? (in|out)$| copied, /.test(line);
}
