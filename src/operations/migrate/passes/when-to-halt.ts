/** One pass over all disks of a guest that runs. */
export interface PassFacts {
  readBytes: number;
  /** Plain bytes of the chunks that differed from what the new hardware had. */
  changedBytes: number;
  seconds: number;
}

/** What the pass after the halt will have to do, if it is the next one. */
export interface LastPassPrediction {
  changedBytes: number;
  seconds: number;
}

const MOST_PASSES = 8;
/** A first pass as short as this needs no second one. */
const SHORT_PASS_SECONDS = 1;
/** Passes that change more than this share of what the one before did no longer get smaller. */
const STEADY_SHARE = 0.9;

/**
 * Predicts the next pass from the last two: the guest goes on writing as fast as it did, and what is read beside the changes takes
 * as long as it did. After a single pass nothing is known of the guest's writing, so the next one may take as long.
 */
export function predictLastPass(passes: readonly PassFacts[]): LastPassPrediction {
  const [first = { readBytes: 0, changedBytes: 0, seconds: 0 }] = passes;
  const [before, last] = passes.slice(-2);
  if (before === undefined || last === undefined)
    return { changedBytes: first.changedBytes, seconds: first.seconds };
  // The last pass found what had changed since the one before began; the next one finds what has changed since the last began.
  const changedBytes = (last.changedBytes * last.seconds) / Math.max(before.seconds, Number.EPSILON);
  // A first pass that found nearly everything there has spent its time on reading. What it then says too little of a change is in `lookingSeconds`.
  const firstBytes = Math.max(first.readBytes, first.changedBytes);
  const secondsPerByte = firstBytes === 0 ? 0 : first.seconds / firstBytes;
  const lookingSeconds = Math.max(0, last.seconds - last.changedBytes * secondsPerByte);
  return {
    changedBytes: Math.round(changedBytes),
    seconds: lookingSeconds + changedBytes * secondsPerByte,
  };
}

/** Whether another pass while the guest runs is no use: the last one would be short enough, or passes do not get shorter. */
export function isTimeToHalt(passes: readonly PassFacts[], goalSeconds: number): boolean {
  const [before, last] = passes.slice(-2);
  if (before === undefined) return false;
  const { seconds } = predictLastPass(passes);
  if (last === undefined) return seconds <= Math.min(goalSeconds, SHORT_PASS_SECONDS);
  if (seconds <= goalSeconds || last.changedBytes === 0 || passes.length >= MOST_PASSES) return true;
  return passes.length > 2 && last.changedBytes > STEADY_SHARE * before.changedBytes;
}
