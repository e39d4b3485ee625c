import type { Event } from '../../events.ts';
import { formatBytes, formatPercentage, formatRate, formatRatio, formatTimeLeft } from '../format.ts';
import { bytesPerSecond, secondsLeft, type ProgressHistory } from '../progress-rate.ts';

export type ProgressEvent = Extract<Event, { type: 'progress' }>;

/** `612 MiB of 1.35 GiB, 180 MiB/s, ratio 3.2, 4 s left`; what cannot be told yet is left out. */
export function progressText(event: ProgressEvent, history: ProgressHistory): string {
  const rate = bytesPerSecond(history);
  const left = secondsLeft(history, event.totalBytes);
  return [
    `${formatBytes(event.doneBytes)} of ${formatBytes(event.totalBytes)}`,
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
