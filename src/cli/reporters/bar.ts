import cliProgress from 'cli-progress';
import type { StageName } from '../../events.ts';
import { formatDuration } from '../terminal/format.ts';
import { printable, printableLine } from '../terminal/printable.ts';
import { emptyHistory, observe } from './progress-rate.ts';
import { barLine, type BarLine } from './bar-line.ts';
import { failureText } from './failure-text.ts';
import type { LinesReporterOptions } from './lines.ts';
import type { ProgressEvent } from './progress-text.ts';
import type { Reporter } from './reporter.ts';

export interface BarReporterOptions extends LinesReporterOptions {
  /** The terminal. */
  stderr: NodeJS.WritableStream;
}

const stageWidth = 9;

/**
 * For a terminal. The last line shows the running stage, as a bar once there is progress; finished stages stay above.
 */
export function createBarReporter(options: BarReporterOptions): Reporter {
  const { stdout, stderr, paint, verbose, now } = options;
  const lastLine = createLastLine(stderr);
  let stage: StageName | null = null;
  let history = emptyHistory;
  let last: ProgressEvent | null = null;
  /** Time of the last progress. */
  let movedMs = now();
  const idleSeconds = () => (now() - movedMs) / 1000;

  const say = (text: string) => {
    lastLine.above(() => {
      stderr.write(`${text}\n`);
    });
  };

  return {
    event: (event) => {
      switch (event.type) {
        case 'stage-started':
          stage = event.stage;
          history = emptyHistory;
          last = null;
          lastLine.show(`  ${event.stage.padEnd(stageWidth)} ${printableLine(event.message)}`);
          break;
        case 'stage-finished':
          lastLine.clear();
          say(
            `${paint.good('ok')} ${event.stage.padEnd(stageWidth)} ${printable(event.message)} ` +
              paint.faint(formatDuration(event.seconds)),
          );
          break;
        case 'stage-failed':
          lastLine.clear();
          say(
            `${paint.bad('failed')} ${event.stage.padEnd(stageWidth)} ${printable(event.message)} ` +
              paint.faint(formatDuration(event.seconds)),
          );
          break;
        case 'progress':
          // Reading back begins during the copy; the bar shows only the current stage.
          if (event.stage !== stage) break;
          if (event.doneBytes !== last?.doneBytes || event.sentBytes !== last.sentBytes) movedMs = now();
          last = event;
          history = observe(history, event.doneBytes, now());
          if (event.totalBytes > 0) lastLine.showBar({ event, history, idleSeconds });
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
      lastLine.clear();
      if (text !== '') stdout.write(`${printable(text)}\n`);
    },
    failed: (failure) => {
      lastLine.clear();
      stderr.write(failureText(failure, { paint, verbose }));
    },
    notice: (text) => {
      say(printable(text));
    },
  };
}

interface LastLine {
  show(text: string): void;
  showBar(line: BarLine): void;
  /** Erases the line, lets the callback print, and draws the line again. */
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
  // A wrapped line could not be erased. Some terminals wrap when the last column is filled, so it stays free.
  const width = () => Math.max(0, ((terminal as { columns?: number }).columns ?? 80) - 1);
  const show = (text: string) => {
    erase();
    redraw = () => {
      terminal.write(text.slice(0, width()));
    };
    redraw();
  };
  const showBar = (line: BarLine) => {
    const { doneBytes, totalBytes } = line.event;
    const payload = { draw: () => barLine(line, width()) };
    if (bar === null) erase();
    bar ??= startBar(terminal, totalBytes, payload);
    bar.setTotal(totalBytes);
    bar.update(doneBytes, payload);
    redraw = () => {
      showBar(line);
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

interface Drawing {
  draw: () => string;
}

/** The bar redraws itself several times a second, independent of progress events. */
function startBar(
  stream: NodeJS.WritableStream,
  totalBytes: number,
  payload: Drawing,
): cliProgress.SingleBar {
  const bar = new cliProgress.SingleBar({
    format: (_options, _params, { draw }: Drawing) => draw(),
    stream,
    hideCursor: true,
    clearOnComplete: true,
    // The program itself handles Ctrl-C: the bar goes on during the clean-up.
    gracefulExit: false,
  });
  bar.start(totalBytes, 0, payload);
  return bar;
}
