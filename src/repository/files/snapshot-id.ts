/*
 * A snapshot's id (doc/store.md): the time in UTC, to the second; then in hexadecimal the millisecond (three digits) and five
 * random digits, so that two snapshots made at once differ. Ids sort by time.
 */

const pattern = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-[0-9a-f]{8}$/;

/** @param random five hex digits */
export function snapshotId(at: Date, random: string): string {
  const time = at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '');
  const millisecond = at.getUTCMilliseconds().toString(16).padStart(3, '0');
  return `${time}-${millisecond}${random}`;
}

export function isSnapshotId(text: string): boolean {
  return snapshotTime(text) !== null;
}

/** The time in an id, to the second; null for anything but an id. */
export function snapshotTime(id: string): Date | null {
  const [, year, month, day, hour, minute, second] = pattern.exec(id) ?? [];
  if (second === undefined) return null;
  const text = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = new Date(text);
  // Refuse 30 February, which Date would turn into a day in March.
  return !Number.isNaN(time.getTime()) && time.toISOString() === text ? time : null;
}
