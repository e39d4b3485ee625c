const hourMs = 3_600_000;
const unitMs = { h: hourMs, d: 24 * hourMs, w: 7 * 24 * hourMs } as const;
/** A hundred years: a prune subtracts it from a date. */
const longestMs = 36_525 * unitMs.d;

/** The form that `parseDuration` accepts, for messages. */
export const durationForm = 'a number of hours, days or weeks, such as 36h, 30d or 8w';

/** `36h`, `30d`, `8w` in milliseconds; null for anything else. */
export function parseDuration(text: string): number | null {
  const match = /^(?<count>[1-9][0-9]{0,5})(?<unit>[hdw])$/.exec(text)?.groups;
  if (match === undefined) return null;
  const milliseconds = Number(match['count']) * unitMs[match['unit'] as keyof typeof unitMs];
  return milliseconds <= longestMs ? milliseconds : null;
}

/** The reverse of `parseDuration`: in days if it is a whole number of days, else in hours. */
export function durationText(milliseconds: number): string {
  return milliseconds % unitMs.d === 0 ? `${milliseconds / unitMs.d}d` : `${milliseconds / hourMs}h`;
}
