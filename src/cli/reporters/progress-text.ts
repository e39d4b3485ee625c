import type { Event } from '../../events.ts';
import { formatBytes } from '../../figures.ts';
import { formatPercentage, formatRate, formatRatio, formatTimeLeft } from '../terminal/format.ts';
import { bytesPerSecond, secondsLeft, type ProgressHistory } from './progress-rate.ts';

export type ProgressEvent = Extract<Event, { type: 'progress' }>;

/** After this long without progress the connection may be broken, so the text says so. */
const idleToldSeconds = 5;

/**
 * `612 MiB of 1.35 GiB, 180 MiB/s, ratio 3.2, 4 s left`, without what is not known yet. Without progress:
 * `612 MiB of 1.35 GiB, no progress for 12 s`.
 */
export function progressText(event: ProgressEvent, history: ProgressHistory, idleSeconds = 0): string {
  const amount = `${formatBytes(event.doneBytes)} of ${formatBytes(event.totalBytes)}`;
  if (idleSeconds >= idleToldSeconds) return `${amount}, no progress for ${Math.floor(idleSeconds)} s`;
  const rate = bytesPerSecond(history);
  const left = secondsLeft(history, event.totalBytes);
  return [
    amount,
    ...(rate === null ? [] : [formatRate(rate)]),
    ...(event.stage === 'copy' && event.doneBytes > 0 && event.sentBytes > 0
      ? [`ratio ${formatRatio(event.doneBytes, event.sentBytes)}`]
      : []),
    ...(left === null ? [] : [`${formatTimeLeft(left)} left`]),
  ].join(', ');
}

export function percentage(event: ProgressEvent): string {
  return formatPercentage(event.doneBytes, event.totalBytes);
}
