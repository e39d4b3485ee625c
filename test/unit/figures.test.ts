import { expect, test } from '@jest/globals';
import { formatTime, formatTimeWithZone } from '../../src/figures.ts';

test('a time is that of this machine, and can be read back with its zone', () => {
  for (const local of ['2026-11-22T04:00:00', '2026-07-01T23:59:00']) {
    const iso = new Date(local).toISOString();
    expect(formatTime(iso)).toBe(local.slice(0, 16).replace('T', ' '));
    const [day, minute, zone] = formatTimeWithZone(iso).split(' ');
    expect(zone).toMatch(/^[+-]\d\d:\d\d$/);
    expect(new Date(`${day}T${minute}:00${zone}`).toISOString()).toBe(iso);
  }
});
