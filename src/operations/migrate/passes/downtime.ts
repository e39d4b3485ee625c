import { performance } from 'node:perf_hooks';
import type { Event, StageName } from '../../../events.ts';

/** Estimates of the time that a guest takes to halt, and to boot. */
export const HALT_SECONDS = 5;
export const USUAL_BOOT_SECONDS = 5;

/** What a guest's downtime was made of, in seconds. */
export interface DowntimeParts {
  haltSeconds: number;
  /** Copying what differed. */
  copySeconds: number;
  /** Comparing fingerprints, giving the images their names and adapting them. */
  verifySeconds: number;
  bootSeconds: number;
}

const partOf: Partial<Record<StageName, keyof DowntimeParts>> = {
  halt: 'haltSeconds',
  copy: 'copySeconds',
  verify: 'verifySeconds',
  publish: 'verifySeconds',
  adapt: 'verifySeconds',
  boot: 'bootSeconds',
};

/** Measures the downtime and its parts from the events of a move. */
export class DowntimeClock {
  #beganMs: number | null = null;
  #endedMs: number | null = null;
  readonly #parts: DowntimeParts = { haltSeconds: 0, copySeconds: 0, verifySeconds: 0, bootSeconds: 0 };

  note(event: Event): void {
    if (event.type === 'stage-started' && event.stage === 'halt') this.#beganMs = performance.now();
    if (event.type !== 'stage-finished' || this.#beganMs === null) return;
    const part = partOf[event.stage];
    if (part !== undefined) this.#parts[part] += event.seconds;
    if (event.stage === 'boot') this.#endedMs = performance.now();
  }

  /** Null if no guest was halted. */
  get downtimeSeconds(): number | null {
    if (this.#beganMs === null) return null;
    return ((this.#endedMs ?? performance.now()) - this.#beganMs) / 1000;
  }

  get parts(): DowntimeParts | null {
    return this.#beganMs === null ? null : { ...this.#parts };
  }
}
