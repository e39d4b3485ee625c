/** Recent progress, for computing the rate. Times are in milliseconds of any steady clock. */
export interface ProgressHistory {
  /** Oldest first. */
  readonly samples: readonly ProgressSample[];
}

interface ProgressSample {
  readonly atMs: number;
  readonly doneBytes: number;
}

export const emptyHistory: ProgressHistory = { samples: [] };

/** Long enough to smooth over a slow pack, short enough to follow a line that became slower. */
const windowMs = 15_000;
const sampleIntervalMs = 250;
/** In a shorter time, one or two packs would decide the rate. */
const shortestSpanMs = 1_000;

/**
 * Adds a sample to the history. If `doneBytes` went down, another disk or stage began, and the history starts again.
 */
export function observe(history: ProgressHistory, doneBytes: number, nowMs: number): ProgressHistory {
  const sample: ProgressSample = { atMs: nowMs, doneBytes };
  const last = history.samples.at(-1);
  if (last === undefined || doneBytes < last.doneBytes) return { samples: [sample] };
  const kept = history.samples.filter(({ atMs }) => nowMs - atMs <= windowMs);
  const beforeLast = kept.at(-2);
  // Replace the newest sample while it is young: this bounds the history, however often progress is reported.
  if (beforeLast !== undefined && nowMs - beforeLast.atMs < sampleIntervalMs) kept.pop();
  if (kept.length === 0) kept.push(last);
  return { samples: [...kept, sample] };
}

/** Null while too little time has passed. */
export function bytesPerSecond(history: ProgressHistory): number | null {
  const first = history.samples[0];
  const last = history.samples.at(-1);
  if (first === undefined || last === undefined) return null;
  const spanMs = last.atMs - first.atMs;
  if (spanMs < shortestSpanMs) return null;
  return ((last.doneBytes - first.doneBytes) * 1000) / spanMs;
}

/** Null if unknown: too early, or no progress. */
export function secondsLeft(history: ProgressHistory, totalBytes: number): number | null {
  const rate = bytesPerSecond(history);
  const doneBytes = history.samples.at(-1)?.doneBytes ?? 0;
  if (doneBytes >= totalBytes) return 0;
  if (rate === null || rate === 0) return null;
  return (totalBytes - doneBytes) / rate;
}
