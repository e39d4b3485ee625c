import { performance } from 'node:perf_hooks';
import type { Context } from '../../../events.ts';
import { asFailure, failureOrReason, type Failure } from '../../../failure.ts';
import { formatTime } from '../../../figures.ts';
import { pause } from '../../../pipeline/polling.ts';
import type { Line } from './line.ts';
import type { Patience } from './patience.ts';

/** Work over a line that may be lost. */
export interface LineWork<Result> {
  line: Line;
  patience: Patience;
  /** Does all that is left to do. Its signal is also aborted when the line is lost. */
  work: (context: Context) => Promise<Result>;
  /** A number that grows when something is sent. */
  progress: () => number;
}

/**
 * Does the work. If the line is lost, opens another one and does what is left, as long as the patience lasts. Throws the failure of the work,
 * or the last one of the line.
 */
export async function overLostLines<Result>(
  { line, patience, work, progress }: LineWork<Result>,
  context: Context,
): Promise<Result> {
  for (;;) {
    const before = progress();
    const signal = AbortSignal.any([context.signal, line.receiver.failed]);
    try {
      return await work({ ...context, signal });
    } catch (error) {
      const failure = failureOrReason(error, signal);
      if (progress() > before) patience.noteProgress();
      await reopen(failure, line, patience, context);
    }
  }
}

async function reopen(lost: Failure, line: Line, patience: Patience, context: Context): Promise<void> {
  let failure = lost;
  for (;;) {
    context.signal.throwIfAborted();
    if (!failure.transient) throw failure;
    const pauseMs = patience.nextPauseMs(performance.now());
    if (pauseMs === null) throw failure;
    const until = new Date(Date.now() + patience.leftMs(performance.now())).toISOString();
    const message = `${failure.message} Trying again in ${pauseMs / 1000} s, until ${formatTime(until)} at the latest.`;
    context.report({ type: 'warning', code: 'line-lost', message });
    await pause(pauseMs, context.signal);
    try {
      await line.openAgain(context);
      return;
    } catch (error) {
      failure = asFailure(error);
    }
  }
}
