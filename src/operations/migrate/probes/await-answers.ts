import { performance } from 'node:perf_hooks';
import type { ProbeAccount } from '../../../events.ts';
import { pause } from '../../../pipeline/polling.ts';
import { describeAnswer, isSameAnswer, type Answer } from './answer.ts';
import { askFrom, askProbe, type Dial } from './ask.ts';
import type { NotedAnswer, NotedAnswers } from './note-answers.ts';
import { nameOfProbe } from './probe.ts';

const INTERVAL_MS = 1_000;
/** A network learns within seconds where an address has gone. Until then this machine is asked, too. */
const USUAL_GRACE_MS = 15_000;

export interface ProbedAgain {
  account: ProbeAccount;
  /** The last answer; null if it was not asked. */
  after: Answer | null;
  noted: NotedAnswer;
}

/**
 * Asks everything that answered before the halt again, until it answers in the same way or the time is over. Does not throw when
 * aborted: what has not passed until then is `not-finished`.
 * @param dialThere from the new hardware, which may be the only machine that has the guest's network; for automatic probes
 * @param graceMs how long an answer from there does not suffice
 */
export async function awaitAnswers(
  { guest, address, answers }: Omit<NotedAnswers, 'notedAtMs'>,
  limitMs: number,
  dialThere: Dial,
  signal: AbortSignal,
  graceMs = USUAL_GRACE_MS,
): Promise<ProbedAgain[]> {
  const startedMs = performance.now();
  const elapsedMs = () => performance.now() - startedMs;

  const askUntilSame = async (noted: NotedAnswer): Promise<ProbedAgain> => {
    const { probe, before, isChosen } = noted;
    let couldAskThere = true;
    const asked = { name: guest, address, phase: 'after' } as const;
    let after: Answer | null = null;
    const account = (
      outcome: ProbeAccount['outcome'],
      seconds: number | null = null,
      isOnlyThere = false,
    ): ProbedAgain => ({
      account: {
        probe: nameOfProbe(probe),
        isChosen,
        outcome,
        before: describeAnswer(before),
        after: after === null ? null : describeAnswer(after),
        seconds,
        isOnlyThere,
      },
      after,
      noted,
    });
    if (!before.answered) return account('not-required');
    try {
      for (;;) {
        after = await askProbe(probe, asked, signal);
        if (isSameAnswer(before, after)) return account('passed', elapsedMs() / 1000);
        if (!isChosen && probe.kind === 'tcp') {
          const there = await askFrom(dialThere, probe, asked, signal);
          couldAskThere = there !== null;
          const isSameThere = there !== null && isSameAnswer(before, there);
          if (isSameThere && elapsedMs() >= Math.min(graceMs, limitMs)) {
            after = there;
            return account('passed', elapsedMs() / 1000, true);
          }
        }
        if (elapsedMs() >= limitMs) return account(couldAskThere ? 'failed' : 'unknown');
        await pause(Math.min(INTERVAL_MS, Math.max(0, limitMs - elapsedMs())), signal);
      }
    } catch (error) {
      if (signal.aborted) return account('not-finished');
      throw error;
    }
  };
  return Promise.all(answers.map(askUntilSame));
}
