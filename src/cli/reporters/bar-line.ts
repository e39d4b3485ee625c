import type { ProgressHistory } from './progress-rate.ts';
import { percentage, progressText, type ProgressEvent } from './progress-text.ts';

export interface BarLine {
  event: ProgressEvent;
  history: ProgressHistory;
  /** Seconds since the last progress, at the time of drawing. */
  idleSeconds: () => number;
}

/** The width of `verify`, the longest name of a stage that has progress. */
const stageWidth = 6;
/** The longest text: `0.98 GiB of 99.9 GiB, 99.9 MiB/s, ratio 3.2, 59 min left`. Reserving it keeps the bar's width constant. */
const textWidth = 56;
const widestBar = 40;
const narrowestBar = 4;
const percentageWidth = 6;

/**
 * The progress line of a stage, at most `columns` wide:
 * `  copy   [=======     ]  25 %  250 MiB of 1.20 GiB, 25.0 MiB/s, ratio 4.0, 38 s left`. On a narrow terminal, first
 * the percentage is left out, then the bar.
 */
export function barLine({ event, history, idleSeconds }: BarLine, columns: number): string {
  const stage = `  ${event.stage.padEnd(stageWidth)} `;
  const room = columns - `${stage}[] `.length - textWidth;
  const withPercentage = room >= 12 + percentageWidth;
  const barWidth = Math.min(widestBar, withPercentage ? room - percentageWidth : room);
  const text = progressText(event, history, idleSeconds());
  const bar = barWidth < narrowestBar ? '' : `[${filled(event, barWidth)}] `;
  const percent = withPercentage ? `${percentage(event).padStart(5)} ` : '';
  return `${stage}${bar}${percent}${text}`.slice(0, Math.max(0, columns));
}

function filled({ doneBytes, totalBytes }: ProgressEvent, width: number): string {
  const done = Math.min(width, Math.floor((width * doneBytes) / totalBytes));
  return '='.repeat(done).padEnd(width);
}
