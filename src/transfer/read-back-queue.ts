import { asFailure } from '../failure.ts';

/**
 * Reads back what was written while more is written. Everything that waits is read back together, in ascending order,
 * so that a slow disk need not sync for each piece.
 */
export class ReadBackQueue {
  readonly #readBack: (positions: Uint32Array) => Promise<void>;
  #waiting: Uint32Array[] = [];
  #working: Promise<void> | null = null;
  #failure: unknown = null;

  /** @param readBack syncs and reads back the chunks at these ascending positions; throws where one is wrong */
  constructor(readBack: (positions: Uint32Array) => Promise<void>) {
    this.#readBack = readBack;
  }

  /** Throws the error of an earlier piece, if there was one: nothing that comes later can mend that. */
  push(positions: Uint32Array): void {
    if (this.#failure !== null) throw asFailure(this.#failure);
    this.#waiting.push(positions);
    this.#working ??= this.#work();
  }

  /** Resolves when everything is read back. Throws the error of reading back. */
  async settled(): Promise<void> {
    await this.#working;
    if (this.#failure !== null) throw asFailure(this.#failure);
  }

  async #work(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        const batch = this.#waiting;
        this.#waiting = [];
        await this.#readBack(sorted(batch));
      }
    } catch (error) {
      this.#failure = error;
    }
    this.#working = null;
  }
}

function sorted(lists: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const list of lists) {
    all.set(list, end);
    end += list.length;
  }
  return all.sort();
}
