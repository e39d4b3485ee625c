import type { ProbeAccount } from '../../../events.ts';
import { unprintable } from '../../../unprintable.ts';

/** What came back when a probe was asked once. */
export type Answer =
  | {
      answered: true;
      /** What has to be the same after the boot: `open`, `status 200`, `exit status 0`. */
      way: string;
      /** What the service said of itself, printable and short; null if it said nothing. It may differ after the boot. */
      greeting: string | null;
    }
  | {
      answered: false;
      /** Why not: `connection refused`. */
      why: string;
    };

/** Whether the answer after the boot is as good as the one before. Greetings are not compared: some hold a date or a number. */
export function isSameAnswer(before: Answer, after: Answer): boolean {
  return before.answered && after.answered && before.way === after.way;
}

/** Whether a service that is there introduces itself in another way, which a person should know. */
export function greetsDifferently(before: Answer, after: Answer): boolean {
  return (
    isSameAnswer(before, after) && before.answered && after.answered && before.greeting !== after.greeting
  );
}

/** The answer as the end of a sentence: `answered SSH-2.0-OpenSSH_9.2`, `was open`, `did not answer: connection refused`. */
export function describeAnswer(answer: Answer): string {
  if (!answer.answered) return `did not answer: ${answer.why}`;
  if (answer.greeting !== null) return `answered ${answer.greeting}`;
  return answer.way === 'open' ? 'was open' : `answered with ${answer.way}`;
}

/** Both answers in one sentence: `tcp:22 answered SSH-2.0-OpenSSH_9.2 before, the same after 3.1 s`. */
export function describeAccount(account: ProbeAccount): string {
  const { probe, outcome, before, after, seconds, isOnlyThere } = account;
  const first = `${probe} ${before} before`;
  switch (outcome) {
    case 'passed':
      return `${first}, ${after === before ? 'the same' : after} after ${(seconds ?? 0).toFixed(1)} s${isOnlyThere ? ', only from the new hardware' : ''}`;
    case 'failed':
      return `${first}, ${after ?? 'and was not asked'} after the boot`;
    case 'unknown':
      return `${first}, ${after ?? 'and was not asked'} after the boot; the new hardware could not be asked`;
    case 'not-required':
      return `${first}, so it was not asked again`;
    case 'not-finished':
      return `${first}, and was not asked until the end`;
  }
}

const LONGEST_GREETING = 100;

/**
 * The beginning of what a service sent, as far as it can be printed: to the end of the first line, or to the first control
 * character, which begins the changing part of a binary greeting. Null if nothing is left.
 */
export function greetingOf(received: Uint8Array): string | null {
  const [line = ''] = new TextDecoder().decode(received).split(/[\r\n]/);
  const printable = line.slice(0, LONGEST_GREETING).split(unprintable)[0]?.trim() ?? '';
  return printable === '' ? null : printable;
}
