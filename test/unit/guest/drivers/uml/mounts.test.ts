import { expect, test } from '@jest/globals';
import { writableDiskMounts } from '../../../../../src/guest/drivers/uml/mounts.ts';

const filesystems = 'nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\n\text3\n\text4\nnodev\thostfs\n\tbtrfs\n';

test('finds only the file systems that are on disks and mounted for writing', () => {
  const mounts = [
    'rootfs / rootfs rw 0 0',
    '/dev/root / ext3 rw,relatime 0 0',
    'proc /proc proc rw,relatime 0 0',
    'tmpfs /run tmpfs rw 0 0',
    '/dev/ubdb /srv/with\\040space ext4 ro,relatime,errors=remount-ro 0 0',
    '/dev/ubdc /var btrfs rw,space_cache 0 0',
    'none /host hostfs rw 0 0',
    '',
  ].join('\n');
  expect(writableDiskMounts(mounts, filesystems)).toEqual(['/dev/root on /', '/dev/ubdc on /var']);
  expect(writableDiskMounts('', filesystems)).toEqual([]);
});
