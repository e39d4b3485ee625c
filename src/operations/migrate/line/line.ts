import type { Context } from '../../../events.ts';
import { Failure } from '../../../failure.ts';
import { untilAborted } from '../../../pipeline/until-aborted.ts';
import { whyCiphersAreSlow } from '../../../ssh/ciphers.ts';
import { shellLine } from '../../../quote-for-shell.ts';
import type { RateLimit } from '../../../rate-limit.ts';
import type { ConnectOptions, SshConnection } from '../../../store/sftp/ssh-connection.ts';
import { newHardware, receiveCommand } from '../../../wire/new-hardware.ts';
import { RemoteReceiver } from '../../../wire/remote-receiver.ts';
import { explainNoReceiver } from './sftp-only-account.ts';

export interface LineRequest {
  target: { destination: string; sshConfigFile: string | null };
  remoteCommand: string;
  /** Unlimited unless given. */
  limitRate?: RateLimit | null;
}

type Connect = (destination: string, options: ConnectOptions, context: Context) => Promise<SshConnection>;

interface Ends {
  connection: SshConnection;
  receiver: RemoteReceiver;
}

/** The way to the new hardware: a connection, and a receiver at its end. When it is lost, another one can take its place. */
export class Line implements AsyncDisposable {
  readonly #open: (context: Context) => Promise<Ends>;
  #ends: Ends;
  /** The paths of the disks that lost receivers have begun. */
  readonly #begunBefore = new Set<string>();
  /** The images that lost receivers have given their names. */
  readonly #publishedBefore = new Set<string>();

  private constructor(open: (context: Context) => Promise<Ends>, ends: Ends) {
    this.#open = open;
    this.#ends = ends;
  }

  /** Returns before the receiver is ready, so that this side can be checked meanwhile. */
  static async open(
    { target, remoteCommand, limitRate = null }: LineRequest,
    connect: Connect,
    context: Context,
  ): Promise<Line> {
    const open = async (opening: Context): Promise<Ends> => {
      const connection = await connect(target.destination, { ...target, limitRate }, opening);
      try {
        const machine = newHardware(target, remoteCommand);
        // An interruption does not end the receiver: it must be told to undo its work, and answer.
        const patient = new AbortController().signal;
        const starting = () => connection.exec(receiveCommand(machine), patient);
        const process = await untilAborted(opening.signal, starting);
        return { connection, receiver: new RemoteReceiver(process, machine) };
      } catch (error) {
        await connection[Symbol.asyncDispose]();
        throw error;
      }
    };
    const ends = await open(context);
    if (!ends.connection.nativeCiphers)
      context.report({ type: 'warning', code: 'slow-ciphers', message: whyCiphersAreSlow() });
    return new Line(open, ends);
  }

  get connection(): SshConnection {
    return this.#ends.connection;
  }

  get receiver(): RemoteReceiver {
    return this.#ends.receiver;
  }

  /** The paths of the disks that were begun there, over this connection or an earlier one. */
  get begun(): string[] {
    return [...new Set([...this.#begunBefore, ...this.receiver.opened])];
  }

  /** The images that have got their names there; those of a lost receiver may be gone again. */
  get published(): string[] {
    return [...new Set([...this.#publishedBefore, ...this.receiver.published])];
  }

  /** Removes files there, and directories with all that is in them. Throws Failure `transfer-failed`. */
  async remove(paths: readonly string[], signal: AbortSignal): Promise<void> {
    const removing = await this.connection.exec(`rm -rf -- ${shellLine(paths)}`, signal);
    const { exitStatus } = await removing.exited;
    if (exitStatus !== 0) throw new Failure('transfer-failed', removing.stderrText());
  }

  /** Waits until the receiver speaks. */
  async ready(signal: AbortSignal): Promise<void> {
    try {
      await this.receiver.ready(signal);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof Failure ? await explainNoReceiver(error, this.connection) : error;
    }
  }

  /** Puts another connection in the place of this one. It is ready then. */
  async openAgain(context: Context): Promise<void> {
    for (const path of this.receiver.opened) this.#begunBefore.add(path);
    for (const path of this.receiver.published) this.#publishedBefore.add(path);
    await this[Symbol.asyncDispose]();
    this.#ends = await this.#open(context);
    await this.receiver.ready(context.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { connection, receiver } = this.#ends;
    await receiver[Symbol.asyncDispose]();
    await connection[Symbol.asyncDispose]();
  }
}
