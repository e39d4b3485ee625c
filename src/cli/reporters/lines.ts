import type { StageName } from '../../events.ts';
import type { Failure } from '../../failure.ts';
import { formatDuration } from '../terminal/format.ts';
import type { Paint } from '../terminal/paint.ts';
import { printable } from '../terminal/printable.ts';
import { emptyHistory, observe } from './progress-rate.ts';
import { failureText } from './failure-text.ts';
import { percentage, progressText, type ProgressEvent } from './progress-text.ts';
import type { Reporter, TextSink } from './reporter.ts';

export interface LinesReporterOptions {
  stdout: TextSink;
  stderr: TextSink;
  paint: Paint;
  verbose: boolean;
  /** Any steady clock, in milliseconds. */
  now: () => number;
}

const progressIntervalMs = 30_000;

/** For logs and pipes: a line for each finished stage, and at most every 30 s a line of progress. */
export function createLinesReporter(options: LinesReporterOptions): Reporter {
  const { stdout, stderr, paint, verbose, now } = options;
  const say = (text: string) => {
    stderr.write(`${text}\n`);
  };
  let stage: StageName | null = null;
  let history = emptyHistory;
  let lastLineMs = now();

  const progress = (event: ProgressEvent) => {
    const nowMs = now();
    history = observe(history, event.doneBytes, nowMs);
    if (nowMs - lastLineMs < progressIntervalMs) return;
    lastLineMs = nowMs;
    say(`${event.stage}: ${percentage(event)}, ${progressText(event, history)}`);
  };

  return {
    event: (event) => {
      switch (event.type) {
        case 'stage-started':
          stage = event.stage;
          history = emptyHistory;
          lastLineMs = now();
          break;
        case 'stage-finished':
          say(`${event.stage}: ${printable(event.message)} (${formatDuration(event.seconds)})`);
          break;
        case 'stage-failed':
          say(`${event.stage}: failed: ${printable(event.message)} (${formatDuration(event.seconds)})`);
          break;
        case 'progress':
          // Reading back begins during the copy; show only the current stage.
          if (event.stage === stage) progress(event);
          break;
        case 'warning':
          say(`${paint.warning('warning:')} ${printable(event.message)}`);
          break;
        case 'notice':
          say(printable(event.message));
          break;
        case 'probed': // The summary has it, or the failure.
          break;
      }
    },
    succeeded: ({ text }) => {
      if (text !== '') stdout.write(`${printable(text)}\n`);
    },
    failed: (failure: Failure) => {
      stderr.write(failureText(failure, { paint, verbose }));
    },
    notice: (text) => {
      say(printable(text));
    },
  };
}
