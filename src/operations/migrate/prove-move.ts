import type { Context, ProbeAccount } from '../../events.ts';
import { asFailure, Failure } from '../../failure.ts';
import { runStage } from '../../pipeline/run-stage.ts';
import type { MigrateDependencies } from './migrate-dependencies.ts';
import type { MigrateRequest } from './migration-report.ts';
import type { Move } from './preflight.ts';
import { revertMigration } from './revert.ts';
import { tellWhenInterrupted } from '../../pipeline/when-interrupted.ts';
import { describeAccount, greetsDifferently } from './probes/answer.ts';
import type { Dial } from './probes/ask.ts';
import { awaitAnswers, type ProbedAgain } from './probes/await-answers.ts';
import type { NotedAnswers } from './probes/note-answers.ts';

/**
 * After the boot: asks again what was noted before the halt. If a probe fails, takes the move back (unless it is to stay open), and
 * throws Failure `probe-failed`. Other differences only warn. An interruption ends the asking; the guest stays where it is.
 */
export async function proveMove(
  noted: NotedAnswers,
  { request, dependencies, line }: Pick<Move, 'request' | 'dependencies' | 'line'>,
  context: Context,
): Promise<ProbeAccount[]> {
  if (noted.answers.length === 0) return [];
  const { guest } = noted;
  const { destination } = request.target;
  const dialThere: Dial = (to, signal) => line.connection.connectFrom(to, signal);
  const again = await askAgain(noted, request, dialThere, context);
  const accounts = again.map(({ account }) => account);
  for (const account of accounts) context.report({ type: 'probed', ...account });
  warnOfDifferences(again, guest, context);
  const failed = accounts.filter(({ outcome }) => outcome === 'failed');
  if (failed.length === 0) return accounts;
  const what = `${failed.map(describeAccount).join('; ')}.`;
  if (request.probing.keepOpen)
    throw new Failure('probe-failed', `${guest} runs on ${destination}, and not as before: ${what}`, {
      advice: `The move stays open (--keep-open). To take it back: vmferry revert ${guest}`,
    });
  const isAutomatic = failed.every(({ isChosen }) => !isChosen);
  throw await takeBack({ what, isAutomatic, guest }, request, dependencies, context);
}

function askAgain(
  noted: NotedAnswers,
  { target, probing }: MigrateRequest,
  dialThere: Dial,
  context: Context,
): Promise<ProbedAgain[]> {
  const { guest } = noted;
  using _told = tellWhenInterrupted(
    context,
    () => `${guest} runs on ${target.destination}. It is not probed any further.`,
  );
  return runStage(
    context,
    'probe',
    `asking ${guest} what it answered before the halt`,
    () => awaitAnswers(noted, probing.limitMs, dialThere, context.signal),
    (again) => {
      const count = (outcome: ProbeAccount['outcome']) =>
        again.filter(({ account }) => account.outcome === outcome).length;
      const required = again.length - count('not-required');
      return `${count('passed')} of ${required} probes answered as before`;
    },
  );
}

function warnOfDifferences(again: readonly ProbedAgain[], guest: string, { report }: Context): void {
  const warn = (message: string) => report({ type: 'warning', code: 'probe-differs', message });
  for (const { account, after, noted } of again) {
    const { outcome, isOnlyThere } = account;
    if (outcome === 'not-finished') warn(`${describeAccount(account)}.`);
    else if (outcome === 'unknown')
      warn(
        `${describeAccount(account)}: its sshd makes no connections for others (AllowTcpForwarding), or the line was lost. Look whether ${guest} runs there as before.`,
      );
    else if (isOnlyThere) warn(`${describeAccount(account)}. That port does not answer here any more.`);
    else if (after !== null && greetsDifferently(noted.before, after))
      warn(`${describeAccount(account)}. It answers, but introduces itself in another way.`);
  }
}

/** Reverts the move as `vmferry revert` does. Returns the failure to show. */
async function takeBack(
  { what, isAutomatic, guest }: { what: string; isAutomatic: boolean; guest: string },
  request: MigrateRequest,
  dependencies: MigrateDependencies,
  context: Context,
): Promise<Failure> {
  const { destination } = request.target;
  const { forceHalt, haltTimeoutMs, bootTimeoutMs } = request;
  // Between the halt there and the start here, the guest is down.
  const patient: Context = { ...context, signal: new AbortController().signal };
  using _told = tellWhenInterrupted(context, () => 'The move is being taken back already.');
  context.report({ type: 'notice', message: `Not as before: ${what} The move is taken back.` });
  try {
    await revertMigration(
      { guest, newHostIsGone: false, forceHalt, haltTimeoutMs, bootTimeoutMs },
      dependencies,
      patient,
    );
    return new Failure(
      'probe-failed',
      `${guest} did not answer on ${destination} as before: ${what} It runs here again, from its old image.`,
      {
        advice: `Its image on ${destination} stays there, with what it wrote there: look at it, and remove it before the next attempt. If ${guest} gets another address there, or cannot be reached by design, move it ${isAutomatic ? 'with --probe none' : 'without that probe'}. If it needs more time, give it more: --probe-for 10m`,
      },
    );
  } catch (error) {
    const failure = asFailure(error);
    return new Failure(
      failure.code,
      `${guest} did not answer on ${destination} as before: ${what} And the move could not be taken back: ${failure.message}`,
      {
        advice: [failure.advice, `Then: vmferry revert ${guest}`]
          .filter((text) => text !== undefined)
          .join(' '),
        cause: failure,
      },
    );
  }
}
