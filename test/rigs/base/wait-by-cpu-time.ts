import { setTimeout as delay } from 'node:timers/promises';
import { readProcess } from '../../../src/system/proc-process.ts';

const intervalMs = 100;
/** An emulated machine that only waits uses no CPU time, so there is a limit by the clock as well. */
const clockPerCpu = 10;

export interface CpuLimit {
  /** The process of the emulator. */
  pid: number;
  /** Of the emulator, from the beginning of the wait. A busy machine does not shorten them. */
  cpuSeconds: number;
  /** Why what is waited for can no longer happen; null while it can. */
  hopeless?: () => string | null;
  /** Added to the error: for example the end of a console's text. */
  lastWords?: () => string;
}

/**
 * Asks until the answer is something other than null or false. Throws, and says what it waited for, when the emulator
 * has ended, when it is hopeless, or when the limit is reached.
 */
export async function waitByCpuTime<Answer>(
  what: string,
  ask: () => Answer | null | false | Promise<Answer | null | false>,
  { pid, cpuSeconds, hopeless = () => null, lastWords = () => '' }: CpuLimit,
): Promise<Answer> {
  const begin = performance.now();
  const beginCpu = readProcess(pid)?.cpuSeconds ?? 0;
  for (;;) {
    const cpuNow = readProcess(pid)?.cpuSeconds;
    const reason = hopeless();
    // Asked after the checks: what happened before the end counts.
    const answer = await ask();
    if (answer !== null && answer !== false) return answer;
    const clockSeconds = (performance.now() - begin) / 1000;
    const spent = `${clockSeconds.toFixed(1)} s, ${((cpuNow ?? beginCpu) - beginCpu).toFixed(1)} s of CPU time`;
    const fail = (why: string) => new Error(`waited for ${what} (${spent}): ${why}\n${lastWords()}`);
    if (reason !== null) throw fail(reason);
    if (cpuNow === undefined) throw fail('the emulator has ended');
    if (cpuNow - beginCpu > cpuSeconds) throw fail(`the limit is ${cpuSeconds} s of CPU time`);
    if (clockSeconds > cpuSeconds * clockPerCpu) throw fail(`the limit is ${cpuSeconds * clockPerCpu} s`);
    await delay(intervalMs);
  }
}
