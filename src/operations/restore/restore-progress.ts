import type { Context } from '../../events.ts';

/** Reports the progress of a stage of a restore, over all disks. */
export class RestoreProgress {
  readonly #context: Context;
  readonly #stage: 'restore' | 'verify';
  readonly #totalBytes: number;
  readonly #readBytes: () => number;
  #doneBytes = 0;

  /** @param readBytes returns the bytes read from the store so far */
  constructor(
    stage: 'restore' | 'verify',
    totalBytes: number,
    context: Context,
    readBytes: () => number = () => 0,
  ) {
    this.#stage = stage;
    this.#totalBytes = totalBytes;
    this.#context = context;
    this.#readBytes = readBytes;
  }

  /** Adds plain bytes that are done. */
  add(plainBytes: number): void {
    this.#doneBytes += plainBytes;
    this.#context.report({
      type: 'progress',
      stage: this.#stage,
      doneBytes: this.#doneBytes,
      totalBytes: this.#totalBytes,
      sentBytes: this.#readBytes(),
    });
  }
}
