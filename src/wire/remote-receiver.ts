import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import type { OtherMachine } from '../placed-text.ts';
import type { RemoteProcess } from '../ssh/remote-process.ts';
import { StallWatch } from '../pipeline/stall-watch.ts';
import { withResolvers } from '../pipeline/with-resolvers.ts';
import type { Machine } from '../system/machine.ts';
import { MessageChannel } from './message-channel.ts';
import { receiveCommand } from './new-hardware.ts';
import { guestTimeMs, isStep, STEP_LIMITS_MS, type Step } from './step-limits.ts';
import {
  fromWireFailure,
  fromWireWarning,
  parseReceiverMessage,
  PROTOCOL_VERSION,
  type MoverMessage,
  type ReceiverMessage,
} from './messages.ts';

const EXIT_LIMIT_MS = 2_000;

type MessageOf<Type extends ReceiverMessage['type']> = Extract<ReceiverMessage, { type: Type }>;

interface Waiting {
  type: ReceiverMessage['type'];
  resolve: (message: never) => void;
  reject: (error: Error) => void;
}

/** Status of a shell that did not find the program, or could not execute it. */
const COMMAND_NOT_FOUND = 127;
const COMMAND_NOT_EXECUTABLE = 126;

/**
 * The mover's end of the wire (doc/wire.md). It sends one request at a time and awaits the answer; `applied` and
 * `progress` may come at any time. When the receiver fails, is lost or makes no progress, everything that waits is
 * rejected, and `failed` is aborted.
 */
export class RemoteReceiver implements AsyncDisposable {
  /** Returns whether the pack was in the spool. */
  onApplied: (message: MessageOf<'applied'>) => boolean = () => false;
  onProgress: (message: MessageOf<'progress'>) => void = () => undefined;
  onHas: (message: MessageOf<'has'>) => void = () => undefined;
  readonly #process: RemoteProcess;
  readonly #channel: MessageChannel<MoverMessage, ReceiverMessage>;
  readonly #failing = new AbortController();
  #waiting: Waiting | null = null;
  #isReady = false;
  /** The first message; it may come before `ready` is called. */
  #greeting: MessageOf<'ready'> | null = null;
  #isAborting = false;
  #spool: string | null = null;
  readonly #opened: string[] = [];
  #published: MessageOf<'published'> | null = null;
  /** The machine that it runs on. */
  readonly machine: OtherMachine;
  readonly #limitsMs: Readonly<Record<Step, number>>;
  #watch: StallWatch | null = null;
  #doneBytes = 0;

  /** @param limitsMs how long each step may be without progress */
  constructor(process: RemoteProcess, machine: OtherMachine, limitsMs = STEP_LIMITS_MS) {
    this.#process = process;
    this.#limitsMs = limitsMs;
    this.machine = machine;
    this.#channel = new MessageChannel({
      input: process.stdout,
      // The step `ready` has a longer limit, and ssh notices a dead line by itself.
      startsSlowly: true,
      // A failed write means that the line is lost. The reading side notices that.
      write: (text) => void process.stdin.write(text).catch(() => undefined),
      parse: (line) => this.#parse(line),
      onMessage: (message) => {
        this.#take(message);
      },
      onEnd: (failure) => void this.#lost(failure),
    });
  }

  /** Aborted, with the Failure as its reason, when the receiver has failed or is lost. */
  get failed(): AbortSignal {
    return this.#failing.signal;
  }

  /** The paths of the disks that it has begun. */
  get opened(): readonly string[] {
    return this.#opened;
  }

  /** The images that have got their final names. */
  get published(): readonly string[] {
    return this.#published?.paths ?? [];
  }

  /** Whether it can take chunks from disks that are there already; known once it is ready. */
  get canTake(): boolean {
    return this.#greeting?.takes === true;
  }

  /** Lets a later receiver read an image that this one has published; null if it gave none. */
  grantOf(path: string): string | null {
    return this.#published?.grants?.[this.published.indexOf(path)] ?? null;
  }

  /** How backups identify the machine that it runs on; known once it is ready. */
  get identity(): Machine {
    return { host: this.#greeting?.host ?? '', id: this.#greeting?.machine ?? null };
  }

  /** The receiver's spool directory there; null before a disk was opened. */
  get spool(): string | null {
    return this.#spool;
  }

  /** Waits until the receiver speaks. Throws Failure `receiver-missing` or `receiver-incompatible`. */
  async ready(signal: AbortSignal): Promise<void> {
    this.failed.throwIfAborted();
    const { protocol, version } = this.#greeting ?? (await this.#answer('ready', 'ready', 0, signal));
    if (protocol === PROTOCOL_VERSION) return;
    throw new Failure(
      'receiver-incompatible',
      `The vmferry on ${this.machine.name} (${version}) speaks protocol ${protocol}, this one ${PROTOCOL_VERSION}.`,
      { advice: 'Install the same version of vmferry on both machines.' },
    );
  }

  /**
   * Sends a request and waits for its answer. Throws the receiver's failure, or the signal's reason when aborted; after
   * that only `abort` may be sent.
   */
  async request<Type extends ReceiverMessage['type']>(
    message: MoverMessage,
    answer: Type,
    signal: AbortSignal,
  ): Promise<MessageOf<Type>> {
    this.#isAborting ||= message.type === 'abort';
    this.send(message);
    this.#doneBytes = 0;
    const step = isStep(message.type) ? message.type : 'copy';
    const answered = await this.#answer(answer, step, guestTimeMs(message), signal);
    if (message.type === 'open') this.#opened.push(message.path ?? `${message.directory}/${message.name}`);
    return answered;
  }

  /** Watches a step: without progress for too long, the receiver has failed. */
  watch(step: Step, guestMs = 0): StallWatch {
    const limitMs = this.#limitsMs[step] + guestMs;
    return new StallWatch(limitMs, () => this.#fail(this.#stalled(step, limitMs)));
  }

  #stalled(step: Step, limitMs: number): Failure {
    const seconds = Math.ceil(limitMs / 1000);
    return new Failure(
      'receiver-died',
      `The vmferry on ${this.machine.name} is there, but has made no progress for ${seconds} s (${step}).`,
      {
        advice: `Look for a cause there, such as a failing disk: ${this.machine.ssh} dmesg`,
        transient: true,
      },
    );
  }

  send(message: MoverMessage): void {
    this.#channel.send(message);
  }

  async #answer<Type extends ReceiverMessage['type']>(
    type: Type,
    step: Step,
    guestMs: number,
    signal: AbortSignal,
  ): Promise<MessageOf<Type>> {
    this.failed.throwIfAborted();
    signal.throwIfAborted();
    const { promise, resolve, reject } = withResolvers<MessageOf<Type>>();
    const onAbort = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting = { type, resolve: resolve as (message: never) => void, reject };
    using watch = this.watch(step, guestMs);
    watch.waiting();
    this.#watch = watch;
    try {
      return await promise;
    } finally {
      this.#watch = null;
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Before the first message, lines may come from the login or the shell. */
  #parse(line: string): ReceiverMessage {
    if (this.#isReady) return parseReceiverMessage(line);
    try {
      const message = parseReceiverMessage(line);
      this.#isReady = true;
      return message;
    } catch (error) {
      if (line.startsWith('{')) throw error;
      return { type: 'alive' };
    }
  }

  #take(message: ReceiverMessage): void {
    switch (message.type) {
      case 'applied':
        if (this.onApplied(message)) this.#watch?.progressed();
        return;
      case 'has':
        this.onHas(message);
        return;
      case 'progress':
        this.#noteProgress(message);
        this.onProgress(message);
        return;
      case 'failed': {
        const { type: _, ...failure } = message;
        this.#fail(fromWireFailure(failure, this.machine));
        return;
      }
      default:
        this.#takeAnswer(this.#told(message));
    }
  }

  /** A repeated number is no progress. */
  #noteProgress({ verifiedBytes, clearedBytes = 0 }: MessageOf<'progress'>): void {
    const doneBytes = verifiedBytes + clearedBytes;
    if (doneBytes > this.#doneBytes) this.#watch?.progressed();
    this.#doneBytes = Math.max(this.#doneBytes, doneBytes);
  }

  /** Words its warnings for this machine. */
  #told(message: ReceiverMessage): ReceiverMessage {
    if (!('warnings' in message)) return message;
    return {
      ...message,
      warnings: message.warnings.map((warning) => fromWireWarning(warning, this.machine)),
    };
  }

  #takeAnswer(message: ReceiverMessage): void {
    if (message.type === 'opened') this.#spool = message.spool;
    if (message.type === 'published') this.#published = message;
    const waiting = this.#waiting;
    const isGreeting = message.type === 'ready' && this.#greeting === null;
    if (message.type === 'ready') this.#greeting = message;
    if (waiting?.type === message.type) {
      this.#waiting = null;
      waiting.resolve(message as never);
    } else if (!this.#isAborting && !isGreeting) {
      // While aborting, answers to earlier requests may still arrive.
      this.#fail(
        new Failure('protocol-violation', `The receiver sent ${message.type} without a request for it.`),
      );
    }
  }

  async #lost(failure: Failure | null): Promise<void> {
    if (failure !== null) {
      this.#fail(failure);
      return;
    }
    const { exitStatus, signal } = await this.#process.exited;
    const said = this.#process.stderrText().trim();
    const wasNotFound = exitStatus === COMMAND_NOT_FOUND || exitStatus === COMMAND_NOT_EXECUTABLE;
    if (!this.#isReady && wasNotFound) {
      this.#fail(
        new Failure(
          'receiver-missing',
          `vmferry does not start on ${this.machine.name}${said === '' ? '.' : `: ${said}`}`,
          {
            advice: `Install vmferry there, or name it with --remote-command (tried: ${receiveCommand(this.machine)}).`,
          },
        ),
      );
      return;
    }
    const how = signal === null ? `status ${exitStatus ?? 'unknown'}` : `signal ${signal}`;
    this.#fail(
      new Failure(
        'receiver-died',
        `The vmferry on ${this.machine.name} ended with ${how}${said === '' ? '.' : `; there it said: ${said}`}`,
        {
          transient: true,
        },
      ),
    );
  }

  #fail(failure: Failure): void {
    if (this.#failing.signal.aborted) return;
    this.#failing.abort(failure);
    this.#waiting?.reject(failure);
    this.#waiting = null;
  }

  /** Closes the line, and gives the receiver the time to end by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel[Symbol.dispose]();
    this.#process.stdin.end();
    await Promise.race([this.#process.exited, delay(EXIT_LIMIT_MS, undefined, { ref: false })]);
  }
}
