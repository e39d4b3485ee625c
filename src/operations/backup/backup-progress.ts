import type { Context } from '../../events.ts';

/**
 * Tells how far a backup is: bytes of all its disks that were read, and are in the store or need not be sent; and bytes
 * that have arrived there.
 */
export class BackupProgress {
  readonly #context: Context;
  readonly #totalBytes: number;
  #readBytes = 0;
  /** Plain bytes that were read, and that the store does not have yet. */
  #waitingBytes = 0;
  #doneBytes = 0;
  #sentBytes = 0;

  constructor(totalBytes: number, context: Context) {
    this.#context = context;
    this.#totalBytes = totalBytes;
  }

  /** @param packedBytes of the chunks among them that go into packs */
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
    // Whole chunks wait, but only what is in use of them was read.
    this.#doneBytes = Math.max(this.#doneBytes, Math.floor(this.#readBytes - this.#waitingBytes));
    this.#context.report({
      type: 'progress',
      stage: 'backup',
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      sentBytes: this.#sentBytes,
    });
  }
}
