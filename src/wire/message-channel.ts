import { Failure } from '../failure.ts';
import { linesOf } from './message-lines.ts';
import { ALIVE_INTERVAL_MS, formatMessage, SILENCE_LIMIT_MS, type Message } from './messages.ts';

export interface ChannelEnds<In> {
  /** What the other side writes. */
  input: AsyncIterable<Uint8Array>;
  /** Writes text towards the other side. */
  write: (text: string) => void;
  parse: (line: string) => In;
  onMessage: (message: In) => void;
  /** The other side may need longer for its start: its silence counts only from its first byte. */
  startsSlowly?: boolean;
  /** Called once, at the end, with the reason; null if the other side closed its end. */
  onEnd: (failure: Failure | null) => void;
}

/**
 * Carries messages to and from the other side (doc/wire.md). It sends `alive` every 5 s, and takes a line that is silent
 * for 30 s for dead.
 */
export class MessageChannel<Out extends Message, In extends Message> implements Disposable {
  readonly #ends: ChannelEnds<In>;
  readonly #aliveTimer: NodeJS.Timeout;
  #silenceTimer: NodeJS.Timeout | undefined;
  /** Nothing more is read. */
  #hasEnded = false;
  #isDisposed = false;

  constructor(ends: ChannelEnds<In>) {
    this.#ends = ends;
    this.#aliveTimer = setInterval(() => {
      ends.write(formatMessage({ type: 'alive' }));
    }, ALIVE_INTERVAL_MS);
    if (ends.startsSlowly !== true) this.#silenceTimer = this.#watchSilence();
    void this.#read();
  }

  /** Also works after reading has failed or ended, because the other side may still listen. */
  send(message: Out): void {
    if (!this.#isDisposed) this.#ends.write(formatMessage(message));
  }

  #watchSilence(): NodeJS.Timeout {
    return setTimeout(() => {
      const seconds = SILENCE_LIMIT_MS / 1000;
      this.#end(
        new Failure('connection-lost', `The other machine was silent for ${seconds} s.`, { transient: true }),
      );
    }, SILENCE_LIMIT_MS);
  }

  async #read(): Promise<void> {
    try {
      for await (const line of linesOf(this.#alive(this.#ends.input))) {
        if (this.#hasEnded) return;
        const message = this.#ends.parse(line);
        if (message.type !== 'alive') this.#ends.onMessage(message);
      }
      this.#end(null);
    } catch (error) {
      const lost = () =>
        new Failure('connection-lost', 'The line to the other machine broke.', {
          transient: true,
          cause: error,
        });
      this.#end(error instanceof Failure ? error : lost());
    }
  }

  async *#alive(input: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const piece of input) {
      clearTimeout(this.#silenceTimer);
      this.#silenceTimer = this.#watchSilence();
      if (this.#hasEnded) clearTimeout(this.#silenceTimer);
      yield piece;
    }
  }

  #end(failure: Failure | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#silenceTimer);
    this.#ends.onEnd(failure);
  }

  /** Stops the timers; nothing is sent or delivered any more. */
  [Symbol.dispose](): void {
    this.#hasEnded = true;
    this.#isDisposed = true;
    clearInterval(this.#aliveTimer);
    clearTimeout(this.#silenceTimer);
  }
}
