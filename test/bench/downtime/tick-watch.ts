import { existsSync, readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 20;

/** Notes when a guest's console shows its ticks, whichever of these files it goes to. */
export class TickWatch implements Disposable {
  readonly #logs: readonly string[];
  readonly #timer: NodeJS.Timeout;
  #seenTicks = 0;
  #lastMs = performance.now();
  /** The longest time without a tick so far. */
  longestGapMs = 0;

  constructor(logs: readonly string[]) {
    this.#logs = logs;
    this.#seenTicks = this.#count();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  #look(): void {
    const nowMs = performance.now();
    const ticks = this.#count();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.#lastMs);
    if (ticks <= this.#seenTicks) return;
    this.#seenTicks = ticks;
    this.#lastMs = nowMs;
  }

  #count(): number {
    const texts = this.#logs.map((log) => (existsSync(log) ? readFileSync(log, 'latin1') : ''));
    return texts.reduce((sum, text) => sum + (text.match(/^TICK /gm)?.length ?? 0), 0);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
