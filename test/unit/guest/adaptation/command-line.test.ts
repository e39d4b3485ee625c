import { expect, test } from '@jest/globals';
import { adaptCommandLine } from '../../../../src/guest/adaptation/command-line.ts';
import { diskChanges } from '../../../../src/guest/adaptation/disk-names.ts';
import { guestWithDisks } from './definitions.ts';

const disks = diskChanges(guestWithDisks('uml', ['ubd0']), guestWithDisks('xen', ['xvda1']));

test.each([
  ['root=/dev/ubda rw', 'root=/dev/xvda1 rw console=hvc0'],
  ['root=98:0 ro', 'root=/dev/xvda1 ro console=hvc0'],
  ['ro quiet', 'root=/dev/xvda1 ro quiet console=hvc0'],
  ['root=LABEL=web console=tty0', 'root=LABEL=web console=hvc0'],
  ['root=UUID=1 console=tty1 console=hvc0,38400', 'root=UUID=1 console=tty1 console=hvc0,38400'],
  ['root=/dev/mapper/v-root resume=/dev/ubda', 'root=/dev/mapper/v-root resume=/dev/xvda1 console=hvc0'],
])('the command line %j becomes %j', (before, after) => {
  const changes = { disks, console: 'hvc0', oldConsole: 'tty0' };
  const adapted = adaptCommandLine(before.split(' '), changes);
  expect(adapted.join(' ')).toBe(after);
  expect(adaptCommandLine(adapted, changes)).toEqual(adapted);
});
