import { Failure } from '../../../../failure.ts';
import { command, here, placed } from '../../../../placed-text.ts';
import { errorCode } from '../../../../system/error-code.ts';
import { run, type CommandResult } from '../../../../system/processes.ts';

/** A kernel answers at once, even if its programs hang. */
const answerTimeoutMs = 5_000;

/** `stopped-already`: something else had stopped the guest before. */
export type StopAnswer = 'stopped' | 'stopped-already' | 'no-answer';

export type GoAnswer = 'goes' | 'was-not-stopped' | 'no-answer';

/** The management console of one User Mode Linux guest, through the `uml_mconsole` program. */
export class Mconsole {
  readonly #socketPath: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;

  constructor(socketPath: string, env: NodeJS.ProcessEnv, signal: AbortSignal) {
    this.#socketPath = socketPath;
    this.#env = env;
    this.#signal = signal;
  }

  /**
   * What the guest's kernel answers; null when it refuses, or does not answer. Throws Failure
   * `hypervisor-missing` when the program is not installed, and the signal's reason when aborted.
   */
  async ask(...words: readonly string[]): Promise<string | null> {
    const { exitStatus, stdout } = await this.#exchange(words);
    return exitStatus === 0 && stdout.startsWith('OK') ? stdout.slice('OK'.length).trim() : null;
  }

  /** Stops the guest until it is told to go on; throws as `ask` does. */
  async stop(): Promise<StopAnswer> {
    const { stdout } = await this.#exchange(['stop']);
    if (stdout.startsWith('ERR Already stopped')) return 'stopped-already';
    return stdout.startsWith('OK') ? 'stopped' : 'no-answer';
  }

  /** Lets a stopped guest go on. Throws as `ask` does. */
  async go(): Promise<GoAnswer> {
    const { stdout } = await this.#exchange(['go']);
    if (stdout.startsWith('ERR Not stopped')) return 'was-not-stopped';
    return stdout.startsWith('OK') ? 'goes' : 'no-answer';
  }

  async #exchange(words: readonly string[]): Promise<CommandResult> {
    try {
      // The program looks for a name in ~/.uml only, and does not know UML_DIR. It accepts a whole path, too.
      return await run('uml_mconsole', [this.#socketPath, ...words], {
        env: this.#env,
        signal: this.#signal,
        timeoutMs: answerTimeoutMs,
      });
    } catch (error) {
      this.#signal.throwIfAborted();
      if (errorCode(error) === 'ENOENT') throw mconsoleMissing(error);
      throw error;
    }
  }

  /** A file in the guest's own /proc; null as with `ask`. */
  readProc(path: string): Promise<string | null> {
    return this.ask('proc', path);
  }

  /** A value that is different after each boot of the guest. */
  bootId(): Promise<string | null> {
    return this.readProc('sys/kernel/random/boot_id');
  }
}

export function mconsoleMissing(cause?: unknown): Failure {
  return new Failure('hypervisor-missing', placed`The program uml_mconsole is not installed ${here}.`, {
    advice: placed`On Debian: \`${command('apt-get', 'install', 'uml-utilities')}\`.`,
    cause,
  });
}
