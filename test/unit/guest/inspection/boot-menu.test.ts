import { expect, test } from '@jest/globals';
import { findRoots } from '../../../../src/guest/inspection/boot-menu.ts';

test.each([
  ['\tlinux\t/vmlinuz-6.1 root=UUID=12-34 ro quiet\n', ['UUID=12-34']],
  ['  linux16 /vmlinuz root=/dev/sda1\n  initrd /initrd.img\n', ['/dev/sda1']],
  ['title Debian\nroot (hd0,0)\nkernel /boot/vmlinuz root=/dev/xvda2 ro\n', ['/dev/xvda2']],
  ['LABEL linux\n  APPEND initrd=initrd.img root=LABEL=web\n', ['LABEL=web']],
  ['# linux /vmlinuz root=/dev/sda1\nset root=hd0\nlinux /vmlinuz root=${dev}\n', []],
])('the boot menu %j names the root file systems %j', (menu, roots) => {
  expect(findRoots(menu)).toEqual(roots);
});
