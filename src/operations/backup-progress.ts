import type { Context } from '../events.ts';

/** Tells how far a backup is: bytes of all its disks that were read, and bytes that have arrived in the store. */
export class BackupProgress {
  readonly #context: Context;
  readonly #totalBytes: number;
  #doneBytes = 0;
  #sentBytes = 0;

  constructor(totalBytes: number, context: Context) {
    this.#context = context;
    this.#totalBytes = totalBytes;
  }

  read(bytes: number): void {
    this.#doneBytes += bytes;
    this.#report();
  }

  sent(bytes: number): void {
    this.#sentBytes += bytes;
    this.#report();
  }

  #report(): void {
    this.#context.report({
      type: 'progress',
      stage: 'backup',
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      sentBytes: this.#sentBytes,
    });
  }
}
