import { packFileName, type Pack } from '../../../pack/pack.ts';
import type { StallWatch } from '../../../pipeline/stall-watch.ts';
import type { Store } from '../../../store/store.ts';
import type { PackSink } from '../../../transfer/send-packs.ts';
import { SPOOL_LIMIT_BYTES } from '../../../wire/messages.ts';
import type { RemoteReceiver } from '../../../wire/remote-receiver.ts';
import { SpoolCredit } from '../../../wire/spool-credit.ts';

/** The spool of a receiver, which has room for a limited number of bytes; the receiver is told of each pack in it. */
export class SpoolSink implements PackSink, AsyncDisposable {
  readonly #receiver: RemoteReceiver;
  readonly #spool: Store;
  readonly #credit: SpoolCredit;
  readonly #watch: StallWatch;
  /** Packs in the spool: the size of each by its id. */
  readonly #sizeById = new Map<string, number>();
  #plainBytes = 0;
  /** The disk that the packs belong to (doc/wire.md). */
  disk = 0;

  constructor(receiver: RemoteReceiver, spool: Store, signal: AbortSignal) {
    this.#receiver = receiver;
    this.#spool = spool;
    this.#credit = new SpoolCredit(SPOOL_LIMIT_BYTES, signal);
    this.#watch = receiver.watch('copy');
    receiver.onApplied = ({ id }) => this.#noteApplied(id);
  }

  /** Plain bytes of the chunks in all packs so far. */
  get plainBytes(): number {
    return this.#plainBytes;
  }

  async put(
    { id, bytes, plainBytes }: Pack,
    signal: AbortSignal,
    onWritten: (bytes: number) => void,
  ): Promise<void> {
    const { disk } = this;
    const sizeBytes = bytes.length;
    this.#plainBytes += plainBytes;
    using _ = this.#watch.waiting();
    await this.#credit.take(sizeBytes);
    try {
      await this.#spool.put(packFileName(id), [bytes], {
        signal,
        onWritten: (written) => {
          this.#watch.progressed();
          onWritten(written);
        },
        // After a power failure the move starts from the beginning anyway.
        durable: false,
      });
    } catch (error) {
      // A receiver that has died may have lost its spool.
      this.#receiver.failed.throwIfAborted();
      throw error;
    }
    this.#sizeById.set(id, sizeBytes);
    this.#receiver.send({ type: 'pack', id, sizeBytes, disk });
  }

  /** Returns whether this pack was in the spool. */
  #noteApplied(id: string): boolean {
    const sizeBytes = this.#sizeById.get(id);
    if (sizeBytes === undefined) return false;
    this.#sizeById.delete(id);
    this.#credit.give(sizeBytes);
    this.#watch.progressed();
    return true;
  }

  /** Ends the spool for this side: no pack may be put any more. Packs in it may still be applied. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#spool[Symbol.asyncDispose]();
    } finally {
      this.#watch[Symbol.dispose]();
    }
  }
}
