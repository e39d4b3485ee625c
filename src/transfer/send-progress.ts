import type { Context, StageName } from '../events.ts';

/** What a pass tells of its bytes. */
export type PassProgress = Pick<SendProgress, 'read' | 'sent'>;

/** Reports how many bytes are done (read, and arrived at the other side or known there), and how many were sent. */
export class SendProgress {
  readonly #stage: StageName;
  readonly #totalBytes: number;
  readonly #context: Context;
  #readBytes = 0;
  /** Plain bytes that were read, and that the other side does not have yet. */
  #waitingBytes = 0;
  #doneBytes = 0;
  #sentBytes = 0;

  constructor(stage: StageName, totalBytes: number, context: Context) {
    this.#stage = stage;
    this.#totalBytes = totalBytes;
    this.#context = context;
  }

  /** Compressed bytes that have arrived. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** For a second pass over bytes that count as done already: only what it sends counts. */
  get again(): PassProgress {
    return {
      read: (_, packedBytes) => {
        this.read(0, packedBytes);
      },
      sent: (bytes, plainBytes) => {
        this.sent(bytes, plainBytes);
      },
    };
  }

  /** @param packedBytes how many of them go into packs */
  read(bytes: number, packedBytes: number): void {
    this.#readBytes += bytes;
    this.#waitingBytes += packedBytes;
    this.#report();
  }

  /** @param plainBytes of the chunks that these bytes hold */
  sent(bytes: number, plainBytes: number): void {
    this.#sentBytes += bytes;
    this.#waitingBytes -= plainBytes;
    this.#report();
  }

  #report(): void {
    // A whole chunk is sent, but only its bytes in use are read. So this difference may fall; the progress must not.
    this.#doneBytes = Math.max(this.#doneBytes, Math.floor(this.#readBytes - this.#waitingBytes));
    this.#context.report({
      type: 'progress',
      stage: this.#stage,
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      sentBytes: this.#sentBytes,
    });
  }
}
