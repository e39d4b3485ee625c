import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { editInittab, editSecuretty } from '../../../../src/guest/adaptation/edit-getty.ts';

describe('the login prompt in an inittab', () => {
  test.each([
    ['1:2345:respawn:/sbin/getty 38400 tty0\n', '1:2345:respawn:/sbin/getty 38400 hvc0\n'],
    ['0:2345:respawn:/sbin/agetty tty0 38400 linux', '0:2345:respawn:/sbin/agetty hvc0 38400 linux'],
    ['T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\r\n', 'T0:23:respawn:/sbin/getty -L hvc0 9600 vt100\r\n'],
    ['tty0::askfirst:/bin/sh\n', 'hvc0::askfirst:/bin/sh\n'],
    ['ttyS0::respawn:/sbin/getty -L ttyS0 115200\n', 'hvc0::respawn:/sbin/getty -L hvc0 115200\n'],
    ['x::respawn:/usr/bin/tool tty0\n', 'x::respawn:/usr/bin/tool tty0\n'],
    ['#1:2345:respawn:/sbin/getty 38400 tty0\n', '#1:2345:respawn:/sbin/getty 38400 tty0\n'],
    ['si::sysinit:/etc/init.d/rcS\n', 'si::sysinit:/etc/init.d/rcS\n'],
    ['1:2345:respawn:/sbin/getty 38400 tty1\n', '1:2345:respawn:/sbin/getty 38400 tty1\n'],
    ['', ''],
  ])('%j becomes %j', (before, after) => {
    expect(editInittab(before, 'hvc0').text).toBe(after);
  });

  test('is left alone where the new console has one already', () => {
    const text = '0:2:respawn:/sbin/getty 38400 tty0\n1:2:respawn:/sbin/getty 38400 hvc0\n';
    expect(editInittab(text, 'hvc0')).toMatchObject({ text, changes: [] });
  });

  test('moves once: a second edit changes nothing', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom(
        '1:2:respawn:/sbin/getty 38400 tty0',
        'ttyS0::askfirst:-/bin/sh',
        '# tty0',
        'id:2:initdefault:',
      ),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const once = editInittab(lines.join('\n'), 'hvc0').text;
        expect(editInittab(once, 'hvc0')).toMatchObject({ text: once, changes: [] });
        expect(
          once.split('\n').filter((one, index) => one !== lines.join('\n').split('\n')[index]).length,
        ).toBeLessThan(2);
      }),
    );
  });
});

describe('securetty', () => {
  test.each([
    ['tty1\ntty2\n', 'tty1\ntty2\nhvc0\n'],
    ['tty1', 'tty1\nhvc0\n'],
    ['tty1\nhvc0\n', 'tty1\nhvc0\n'],
  ])('%j becomes %j', (before, after) => {
    expect(editSecuretty(before, 'hvc0').text).toBe(after);
  });
});
