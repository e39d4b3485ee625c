import { expect, test } from '@jest/globals';
import { sourceInFstab } from '../../../../src/guest/boot-menu/fstab-source.ts';

test.each([
  ['UUID="12-34" / ext4 defaults 0 1\n', 'UUID=12-34'],
  ['\t LABEL="my root"\t/\text4\n', 'LABEL=my root'],
  ['#UUID=1 / ext4\n  # UUID=2 / ext4\nproc /proc proc\n/dev/sda1 / ext4 ro\n', '/dev/sda1'],
  ['UUID=1 /boot ext2 defaults\n', null],
  ['', null],
])('by the fstab %j the root is %j', (fstab, source) => {
  expect(sourceInFstab(fstab, '/')).toBe(source);
});
