/** A zstd level, 1 to 19; `auto` fits it to the line while the move runs. */
export type Compression = number | 'auto';

/** zstd's own choice: what `auto` begins with, and what an estimate is made with. */
const USUAL_LEVEL = 3;
/** Below, the bytes grow faster than time falls; above, several times the time saves hardly a byte. */
const LOWEST_LEVEL = 1;
const HIGHEST_LEVEL = 12;
/** One on its way and one behind it (send-disk.ts): the wait for a single pack says little. */
const PACKS_BETWEEN_DECISIONS = 2;
/**
 * The share of its time that compression waits for the line. With hardly any, the cores are what the move waits for;
 * with much, they have time to make fewer bytes of it.
 */
const LITTLE_WAITING = 0.1;
const MUCH_WAITING = 0.25;

/** The level to go on with. */
export function fittingLevel(level: number, waitingShare: number): number {
  if (waitingShare < LITTLE_WAITING) return Math.max(LOWEST_LEVEL, level - 1);
  if (waitingShare > MUCH_WAITING) return Math.min(HIGHEST_LEVEL, level + 1);
  return level;
}

export function levelToEstimateWith(compression: Compression): number {
  return compression === 'auto' ? USUAL_LEVEL : compression;
}

/** The level at which packs are made, so that neither the cores nor the line wait for the other. */
export class CompressionLevel {
  readonly #isFixed: boolean;
  readonly #now: () => number;
  #level: number;
  #packs = 0;
  #workingMs = 0;
  #waitingMs = 0;

  constructor(compression: Compression, now: () => number = () => performance.now()) {
    this.#isFixed = compression !== 'auto';
    this.#level = levelToEstimateWith(compression);
    this.#now = now;
  }

  get current(): number {
    return this.#level;
  }

  /** Passes the packs on, and learns from how soon the next one is asked for. */
  async *watch<Item>(packs: AsyncIterable<Item>): AsyncGenerator<Item, void, undefined> {
    let resumedMs = this.#now();
    for await (const pack of packs) {
      const readyMs = this.#now();
      this.#workingMs += readyMs - resumedMs;
      yield pack;
      resumedMs = this.#now();
      this.#waitingMs += resumedMs - readyMs;
      this.#packs++;
      if (this.#packs % PACKS_BETWEEN_DECISIONS === 0) this.#decide();
    }
  }

  #decide(): void {
    const wholeMs = this.#workingMs + this.#waitingMs;
    if (!this.#isFixed && wholeMs > 0) this.#level = fittingLevel(this.#level, this.#waitingMs / wholeMs);
    this.#workingMs = 0;
    this.#waitingMs = 0;
  }
}
