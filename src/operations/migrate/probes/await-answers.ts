import { performance } from 'node:perf_hooks';
import type { ProbeAccount } from '../../../events.ts';
import { pause } from '../../../pipeline/polling.ts';
import { describeAnswer, isSameAnswer, type Answer } from './answer.ts';
import { askProbe } from './ask.ts';
import type { NotedAnswer, NotedAnswers } from './note-answers.ts';
import { nameOfProbe } from './probe.ts';

const INTERVAL_MS = 1_000;

export interface ProbedAgain {
  account: ProbeAccount;
  /** The last answer; null if it was not asked. */
  after: Answer | null;
  noted: NotedAnswer;
}

/**
 * Asks everything that answered before the halt again, until it answers in the same way or the time is over. Does not throw when
 * aborted: what has not passed until then is `not-finished`.
 */
export async function awaitAnswers(
  { guest, address, answers }: NotedAnswers,
  limitMs: number,
  signal: AbortSignal,
): Promise<ProbedAgain[]> {
  const startedMs = performance.now();
  const elapsedMs = () => performance.now() - startedMs;

  const askUntilSame = async (noted: NotedAnswer): Promise<ProbedAgain> => {
    const { probe, before } = noted;
    let after: Answer | null = null;
    const account = (outcome: ProbeAccount['outcome'], seconds: number | null = null): ProbedAgain => ({
      account: {
        probe: nameOfProbe(probe),
        isChosen: noted.isChosen,
        outcome,
        before: describeAnswer(before),
        after: after === null ? null : describeAnswer(after),
        seconds,
      },
      after,
      noted,
    });
    if (!before.answered) return account('not-required');
    try {
      for (;;) {
        after = await askProbe(probe, { name: guest, address, phase: 'after' }, signal);
        if (isSameAnswer(before, after)) return account('passed', elapsedMs() / 1000);
        if (elapsedMs() >= limitMs) return account('failed');
        await pause(Math.min(INTERVAL_MS, Math.max(0, limitMs - elapsedMs())), signal);
      }
    } catch (error) {
      if (signal.aborted) return account('not-finished');
      throw error;
    }
  };
  return Promise.all(answers.map(askUntilSame));
}
