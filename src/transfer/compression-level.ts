/** A zstd level, 1 to 19; `auto` fits it to the line while packs are sent. */
export type Compression = number | 'auto';

/**
 * Packs that are sent at the same time: one is made durable and renamed, the next is on its way, the third is being
 * compressed.
 */
export const PACKS_IN_FLIGHT = 3;

/** zstd's default: `auto` begins with it, and estimates use it. */
const DEFAULT_LEVEL = 3;
/**
 * How long each level takes for a guest's data, from level 1 on, as a multiple of level 1 (zstd 1.5.4; other versions
 * differ by about a level). Levels above the last take twice the time, for less than 1 % fewer bytes.
 */
const TIME_AT_LEVEL = [1, 1.2, 1.6, 2.1, 2.9, 4, 4.6, 5.5, 6];
const LOWEST_LEVEL = 1;
const HIGHEST_LEVEL = TIME_AT_LEVEL.length;
/** The line takes the first packs in flight without a wait, so fewer packs say nothing about its speed. */
const PACKS_BETWEEN_DECISIONS = PACKS_IN_FLIGHT;
/** Shares of the time in which compression waits for the line. Below the first, the cores are the bottleneck; above the second, the line is. */
const LITTLE_WAITING = 0.1;
const MUCH_WAITING = 0.25;
/** The share of the spare time that a higher level may use; the rest is kept in case the line gets faster. */
const SPENT_SHARE = 0.9;

/** The level to use next, if compression waited for the line for this share of its time. */
export function fittingLevel(level: number, waitingShare: number): number {
  if (waitingShare < LITTLE_WAITING) return Math.max(LOWEST_LEVEL, level - 2);
  if (waitingShare <= MUCH_WAITING) return level;
  const affordable = (SPENT_SHARE * timeAt(level)) / (1 - waitingShare);
  let fitting = level;
  while (fitting < HIGHEST_LEVEL && timeAt(fitting + 1) <= affordable) fitting++;
  return fitting;
}

function timeAt(level: number): number {
  return TIME_AT_LEVEL[level - 1] ?? Infinity;
}

export function levelToEstimateWith(compression: Compression): number {
  return compression === 'auto' ? DEFAULT_LEVEL : compression;
}

/** Chooses the level so that neither the cores wait for the line nor the line for the cores. */
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

  /** Passes the packs on, and measures how long the consumer takes to ask for the next. */
  async *watch<Item>(packs: AsyncIterable<Item>): AsyncGenerator<Item, void, undefined> {
    let resumedMs = this.#now();
    for await (const pack of packs) {
      const readyMs = this.#now();
      this.#workingMs += readyMs - resumedMs;
      yield pack;
      resumedMs = this.#now();
      this.#waitingMs += resumedMs - readyMs;
      this.#packs++;
      if (this.#packs % PACKS_BETWEEN_DECISIONS !== 0) continue;
      this.#decide();
      this.#workingMs = 0;
      this.#waitingMs = 0;
    }
  }

  #decide(): void {
    const wholeMs = this.#workingMs + this.#waitingMs;
    if (!this.#isFixed && wholeMs > 0) this.#level = fittingLevel(this.#level, this.#waitingMs / wholeMs);
  }
}
