import cliProgress from 'cli-progress';
import { formatDuration } from '../format.ts';
import { emptyHistory, observe } from '../progress-rate.ts';
import { failureText } from './failure-text.ts';
import type { LinesReporterOptions } from './lines.ts';
import { progressText, type ProgressEvent } from './progress-text.ts';
import type { Reporter } from './reporter.ts';

export interface BarReporterOptions extends LinesReporterOptions {
  /** The terminal. */
  stderr: NodeJS.WritableStream;
}

const stageWidth = 9;

/**
 * For a terminal: the stage that runs is its last line, as a bar once there is progress to show; what is done
 * stays above it.
 */
export function createBarReporter(options: BarReporterOptions): Reporter {
  const { stdout, stderr, paint, verbose, now } = options;
  const lastLine = createLastLine(stderr);
  let history = emptyHistory;

  const say = (text: string) => {
    lastLine.above(() => {
      stderr.write(`${text}\n`);
    });
  };

  return {
    event: (event) => {
      switch (event.type) {
        case 'stage-started':
          history = emptyHistory;
          lastLine.show(`  ${event.stage.padEnd(stageWidth)} ${event.message}`);
          break;
        case 'stage-finished':
          lastLine.clear();
          say(
            `${paint.good('ok')} ${event.stage.padEnd(stageWidth)} ${event.message} ` +
              paint.faint(formatDuration(event.seconds)),
          );
          break;
        case 'progress':
          history = observe(history, event.doneBytes, now());
          if (event.totalBytes > 0) lastLine.showBar(event, progressText(event, history));
          break;
        case 'warning':
          say(`${paint.warning('warning:')} ${event.message}`);
          break;
      }
    },
    succeeded: ({ text }) => {
      lastLine.clear();
      if (text !== '') stdout.write(`${text}\n`);
    },
    failed: (failure) => {
      lastLine.clear();
      stderr.write(failureText(failure, { paint, verbose }));
    },
    notice: say,
  };
}

interface LastLine {
  show(text: string): void;
  showBar(event: ProgressEvent, text: string): void;
  /** Takes the line away, lets the callback print, and puts the line back. */
  above(print: () => void): void;
  clear(): void;
}

function createLastLine(terminal: NodeJS.WritableStream): LastLine {
  let redraw: (() => void) | null = null;
  let bar: cliProgress.SingleBar | null = null;

  const erase = () => {
    bar?.stop();
    bar = null;
    // ECMA-48: back to the first column, erase the whole line.
    if (redraw !== null) terminal.write('\r\u001b[2K');
  };
  const show = (text: string) => {
    erase();
    redraw = () => {
      // A line that wraps could not be erased; the rest of it is cut off.
      const { columns = 80 } = terminal as { columns?: number };
      terminal.write(text.slice(0, Math.max(0, columns - 1)));
    };
    redraw();
  };
  const showBar = (event: ProgressEvent, text: string) => {
    const payload = { stage: event.stage.padEnd(stageWidth), text };
    if (bar === null) erase();
    bar ??= startBar(terminal, event, payload);
    bar.setTotal(event.totalBytes);
    bar.update(event.doneBytes, payload);
    redraw = () => {
      showBar(event, text);
    };
  };
  return {
    show,
    showBar,
    above: (print) => {
      erase();
      print();
      redraw?.();
    },
    clear: () => {
      erase();
      redraw = null;
    },
  };
}

function startBar(
  stream: NodeJS.WritableStream,
  event: ProgressEvent,
  payload: object,
): cliProgress.SingleBar {
  const bar = new cliProgress.SingleBar({
    format: '  {stage} [{bar}] {percentage} %  {text}',
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    barsize: 24,
    stream,
    hideCursor: true,
    clearOnComplete: true,
    // Ctrl-C is the program's to handle: the bar goes on while it cleans up.
    gracefulExit: false,
  });
  bar.start(event.totalBytes, event.doneBytes, payload);
  return bar;
}
