import { PACKS_IN_FLIGHT } from './capture.ts';

/** A zstd level, 1 to 19; `auto` fits it to the line while the move runs. */
export type Compression = number | 'auto';

/** zstd's own choice: what `auto` begins with, and what an estimate is made with. */
const USUAL_LEVEL = 3;
/**
 * From level 1 on: how long a guest's data take, against level 1 (zstd 1.5.4; a level more or less in other versions).
 * Above the last the time doubles for less than a hundredth of the bytes.
 */
const TIME_AT_LEVEL = [1, 1.2, 1.6, 2.1, 2.9, 4, 4.6, 5.5, 6];
const LOWEST_LEVEL = 1;
const HIGHEST_LEVEL = TIME_AT_LEVEL.length;
/** As many are taken before any is waited for: only so many waits together say something. */
const PACKS_BETWEEN_DECISIONS = PACKS_IN_FLIGHT;
/**
 * The share of its time that compression waits for the line. With hardly any, the cores are what the move waits for;
 * with much, they have time to make fewer bytes of it.
 */
const LITTLE_WAITING = 0.1;
const MUCH_WAITING = 0.25;
/** How much of the time that the line leaves is spent: a line is not always as slow as it was. */
const SPENT_SHARE = 0.9;

/** The level to go on with. */
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
