import { describe, expect, test } from '@jest/globals';
import { parseCalendar } from '../../../src/schedule/calendar.ts';

describe('a time of --at', () => {
  test.each([
    ['03:00', '*-*-* 03:00:00', '0 3 * * *'],
    ['3:05', '*-*-* 03:05:00', '5 3 * * *'],
    ['23:59:00', '*-*-* 23:59:00', '59 23 * * *'],
    ['Mon 03:00', 'Mon *-*-* 03:00:00', '0 3 * * 1'],
    ['monday,FRI 03:00', 'Mon,Fri *-*-* 03:00:00', '0 3 * * 1,5'],
    ['Fri..Mon 03:00', 'Sun,Mon,Fri,Sat *-*-* 03:00:00', '0 3 * * 0,1,5,6'],
    ['Mon..Mon 03:00', 'Mon *-*-* 03:00:00', '0 3 * * 1'],
    ['hourly', 'hourly', '0 * * * *'],
    ['Daily', 'daily', '0 0 * * *'],
    ['weekly', 'weekly', '0 0 * * 1'],
    ['monthly', 'monthly', '0 0 1 * *'],
  ])('%s', (text, onCalendar, cronFields) => {
    expect(parseCalendar(text)).toMatchObject({ onCalendar, cronFields, isUnderstood: true });
  });

  test('another expression is left to systemd', () => {
    expect(parseCalendar('*-*-01 04:00')).toMatchObject({
      onCalendar: '*-*-01 04:00',
      cronFields: null,
      isUnderstood: false,
    });
  });

  test.each(['', ' ', '--version', '03:00\nExecStart=/bin/sh', '03:00;x', '%n', '"03:00"', 'é'])(
    'cannot be %j',
    (text) => {
      expect(parseCalendar(text)).toBeNull();
    },
  );

  test('an impossible time of day is not understood', () => {
    expect(parseCalendar('24:00')?.isUnderstood).toBe(false);
    expect(parseCalendar('03:60')?.isUnderstood).toBe(false);
  });
});
