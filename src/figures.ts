/* The form of times and sizes in all texts (doc/glossary.md, Times and sizes). */

const byteUnits = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** Three significant digits in IEC units: `999 B`, `1.35 GiB`, `612 MiB`. */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  let unit = 'B';
  for (const next of byteUnits) {
    // A larger amount would be rounded to 1000; 0.98 of the next unit reads better.
    if (amount < 999.5) break;
    amount /= 1024;
    unit = next;
  }
  return `${unit === 'B' ? String(Math.round(amount)) : threeDigits(amount)} ${unit}`;
}

function threeDigits(amount: number): string {
  if (amount < 9.995) return amount.toFixed(2);
  return amount < 99.95 ? amount.toFixed(1) : amount.toFixed(0);
}

/**
 * `2026-11-22 04:00`, in local time; can be typed after `GUEST@` (with a T). For tables, which name their time zone elsewhere.
 */
export function formatTime(iso: string): string {
  const time = new Date(iso);
  const date = [String(time.getFullYear()), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** With its time zone: `2026-11-22 04:00 +01:00`. */
export function formatTimeWithZone(iso: string): string {
  const minutes = -new Date(iso).getTimezoneOffset();
  const offset = `${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
  return `${formatTime(iso)} ${minutes < 0 ? '-' : '+'}${offset}`;
}

/** The IANA name of this machine's time zone. */
export function localTimeZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
