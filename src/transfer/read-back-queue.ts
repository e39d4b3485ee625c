import { asFailure } from '../failure.ts';

/**
 * Reads back what was written while more is written. All that waits is read back at once, so that a slow disk is not
 * asked to sync for each piece.
 */
export class ReadBackQueue<Written> {
  readonly #readBack: (written: readonly Written[]) => Promise<void>;
  #waiting: Written[] = [];
  #working: Promise<void> | null = null;
  #failure: unknown = null;

  /** @param readBack syncs and reads back what it is given; throws where it is not as it was written */
  constructor(readBack: (written: readonly Written[]) => Promise<void>) {
    this.#readBack = readBack;
  }

  /** Throws what reading back failed with before: nothing that comes now can mend that. */
  push(written: Written): void {
    if (this.#failure !== null) throw asFailure(this.#failure);
    this.#waiting.push(written);
    this.#working ??= this.#work();
  }

  /** Resolves when all is read back. Throws what that failed with. */
  async settled(): Promise<void> {
    await this.#working;
    if (this.#failure !== null) throw asFailure(this.#failure);
  }

  async #work(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting;
        this.#waiting = [];
        await this.#readBack(batch);
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#working = null;
  }
}
