import { formatBytes } from '../../figures.ts';
import { printableLine } from './printable.ts';

/** Numbers and tables as people read them; for times and sizes see figures.ts. */

export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return twoUnits(whole, 60, 'min', 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 24 * 60) return twoUnits(minutes, 60, 'h', 'min');
  return twoUnits(Math.round(seconds / 3600), 24, 'd', 'h');
}

/** A rough estimate of the time left: `1 s`, `59 s`, `4 min`, `2 h`, `days`. */
export function formatTimeLeft(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.round(seconds / 3600);
  return hours < 24 ? `${hours} h` : 'days';
}

/** How many times smaller the packed bytes are: `3.2`; `-` if either is 0. */
export function formatRatio(plainBytes: number, packedBytes: number): string {
  if (plainBytes === 0 || packedBytes === 0) return '-';
  const ratio = plainBytes / packedBytes;
  return ratio < 99.95 ? ratio.toFixed(1) : String(Math.round(ratio));
}

/** A whole percentage, rounded down: 100 only when all is done. */
export function formatPercentage(done: number, total: number): string {
  if (total === 0) return '100 %';
  return `${Math.min(100, Math.floor((100 * done) / total))} %`;
}

/** `1 pack`, `2 packs`. */
export function formatCount(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** Rows of text under a heading, each column as wide as its widest cell. Columns in `right` are aligned to the right. */
export function formatTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): string {
  const lines = [heading, ...rows.map((row) => row.map(printableLine))];
  const widths = heading.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          right.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Lines of `name  value`, indented, with the values aligned. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `  ${name.padEnd(width)}  ${printableLine(value)}`).join('\n');
}

function twoUnits(amount: number, perBig: number, big: string, small: string): string {
  const rest = amount % perBig;
  const whole = `${Math.floor(amount / perBig)} ${big}`;
  return rest === 0 ? whole : `${whole} ${rest} ${small}`;
}
