import type { Context } from '../../events.ts';

/** Tells how far a stage of a restore is, for all of its disks. */
export class RestoreProgress {
  readonly #context: Context;
  readonly #stage: 'restore' | 'verify';
  readonly #totalBytes: number;
  readonly #readBytes: () => number;
  #doneBytes = 0;

  /** @param readBytes what has come from the store by now */
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

  /** So many plain bytes more are through. */
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
