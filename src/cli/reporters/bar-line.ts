import type { ProgressHistory } from './progress-rate.ts';
import { percentage, progressText, type ProgressEvent } from './progress-text.ts';

export interface BarLine {
  event: ProgressEvent;
  history: ProgressHistory;
  /** How long nothing has come through, whenever it is drawn. */
  idleSeconds: () => number;
}

/** As wide as `copy` and `verify`, the stages that have progress. */
const stageWidth = 6;
/** `0.98 GiB of 99.9 GiB, 99.9 MiB/s, ratio 3.2, 59 min left`: with less room the bar would change its width. */
const textWidth = 56;
const widestBar = 40;
const narrowestBar = 4;
const percentageWidth = 6;

/**
 * The line that shows a stage at work, fit into so many columns:
 * `  copy   [=======     ]  25 %  250 MiB of 1.20 GiB, 25.0 MiB/s, ratio 4.0, 38 s left`. Where there is no room, the
 * percentage is left out first, then the bar.
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
