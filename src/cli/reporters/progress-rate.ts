/** How fast a stage went lately: pure, the clock is an argument. Times are in milliseconds of any steady clock. */
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
/** Before that, a rate would be a guess from one or two packs. */
const shortestSpanMs = 1_000;

/**
 * The history with what has been done by now. When less has been done than before, another disk or another stage
 * began, and the history begins anew.
 */
export function observe(history: ProgressHistory, doneBytes: number, nowMs: number): ProgressHistory {
  const sample: ProgressSample = { atMs: nowMs, doneBytes };
  const last = history.samples.at(-1);
  if (last === undefined || doneBytes < last.doneBytes) return { samples: [sample] };
  const kept = history.samples.filter(({ atMs }) => nowMs - atMs <= windowMs);
  const beforeLast = kept.at(-2);
  // Replacing the newest one while it is young bounds the history, however often progress is reported.
  if (beforeLast !== undefined && nowMs - beforeLast.atMs < sampleIntervalMs) kept.pop();
  if (kept.length === 0) kept.push(last);
  return { samples: [...kept, sample] };
}

/** null as long as too little time has passed to tell. */
export function bytesPerSecond(history: ProgressHistory): number | null {
  const first = history.samples[0];
  const last = history.samples.at(-1);
  if (first === undefined || last === undefined) return null;
  const spanMs = last.atMs - first.atMs;
  if (spanMs < shortestSpanMs) return null;
  return ((last.doneBytes - first.doneBytes) * 1000) / spanMs;
}

/** null when it cannot be told: too early, or nothing moves. */
export function secondsLeft(history: ProgressHistory, totalBytes: number): number | null {
  const rate = bytesPerSecond(history);
  const doneBytes = history.samples.at(-1)?.doneBytes ?? 0;
  if (doneBytes >= totalBytes) return 0;
  if (rate === null || rate === 0) return null;
  return (totalBytes - doneBytes) / rate;
}
