import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { newcArchive } from '../../../src/guest/initrd/newc-archive.ts';
import { bootableBuses } from '../../../src/guest/inspection/disk-buses.ts';
import { inspectGuestSystem } from '../../../src/guest/inspection/inspect-guest-system.ts';
import { describeWithTools, findTool } from '../../support/programs/tools.ts';

const context = { signal: new AbortController().signal };
const at = (path: string) => ({ path });
const fstab = '/dev/sda1 / ext4 defaults 0 1\n';

function tool(name: string, args: readonly string[], input = ''): void {
  const { status, stderr } = spawnSync(findTool(name) ?? name, args, { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
}

/** Makes a file system of these files. A text that begins with `->` makes a link. */
async function makeImage(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const directory = mkdtempSync(join(process.env['VMFERRY_TEST_SCRATCH'] ?? tmpdir(), 'vmferry-inspect-'));
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, 'tree', name);
    mkdirSync(dirname(path), { recursive: true });
    if (typeof content === 'string' && content.startsWith('->')) symlinkSync(content.slice(2), path);
    else writeFileSync(path, content);
  }
  const image = join(directory, 'disk.img');
  writeFileSync(image, '');
  await truncate(image, 8 * 2 ** 20);
  tool('mke2fs', ['-qF', '-t', 'ext4', '-d', join(directory, 'tree'), image]);
  return image;
}

/** A disk with two partitions. */
async function makeDisk(first: string, second: string): Promise<string> {
  const disk = `${first}.disk`;
  cpSync(first, disk);
  const [mib, sectors] = [2 ** 20, 16_384];
  writeFileSync(disk, Buffer.concat([Buffer.alloc(mib), readFileSync(first), readFileSync(second)]));
  await truncate(disk, 18 * mib);
  tool(
    'sfdisk',
    ['-q', disk],
    `label: dos\nstart=2048, size=${sectors}\nstart=${2048 + sectors}, size=${sectors}\n`,
  );
  return disk;
}

const debian = {
  'etc/fstab': fstab,
  'etc/network/interfaces': 'auto eth0\niface eth0 inet dhcp\n',
  'etc/udev/rules.d/70-persistent-net.rules':
    'SUBSYSTEM=="net", ATTR{address}=="52:54:00:00:00:09", NAME="eth0"\n',
  lib: '->usr/lib',
  sbin: '->usr/sbin',
  'usr/sbin/init': '->/lib/systemd/systemd',
  'usr/lib/systemd/network/99-default.link': '',
  'usr/lib/modules/5.10.0-9-amd64/modules.dep': 'kernel/virtio_blk.ko:\n',
  'usr/lib/modules/5.10.0-10-amd64/modules.dep': 'kernel/virtio_blk.ko:\nkernel/xen-blkfront.ko.xz:\n',
  'usr/lib/modules/5.10.0-10-amd64/modules.builtin': 'kernel/sd_mod.ko\n',
};
const boot = {
  'vmlinuz-5.10.0-10-amd64': '',
  'grub/grub.cfg': 'set root=hd0,msdos1\nmenuentry x {\n\tlinux /vmlinuz root=/dev/sda2 ro\n}\n',
  'initrd.img-5.10.0-10-amd64': gzipSync(
    newcArchive([{ path: 'lib/xen-blkfront.ko.xz', content: Buffer.alloc(9) }]),
  ),
};

describeWithTools('what is inside a guest', ['mke2fs', 'debugfs', 'sfdisk', 'gzip'], () => {
  test('is found on a partition, with /boot on another', async () => {
    const other = await makeImage({ 'data/etc/fstab': 'x' });
    const disk = await makeDisk(await makeImage(boot), await makeImage(debian));
    const system = await inspectGuestSystem([other, disk].map(at), context);
    expect(system).toMatchObject({
      root: { diskIndex: 1, offset: 9 * 2 ** 20, length: 8 * 2 ** 20 },
      init: 'systemd',
      udev: 'link-files',
      files: { '/etc/fstab': fstab },
      cardNames: ['eth0'],
      namedMacs: ['52:54:00:00:00:09'],
      bootMenuRoots: ['/dev/sda2'],
      kernels: [
        { version: '5.10.0-9-amd64', hasKernel: false, initrdDrivers: null },
        { version: '5.10.0-10-amd64', hasKernel: true, initrdDrivers: ['xen_blkfront'] },
      ],
    });
    expect(system?.kernels[1]?.drivers).toMatchObject({
      virtio_blk: 'module',
      xen_blkfront: 'module',
      sd_mod: 'built-in',
      ahci: 'absent',
    });
    expect(system === null ? null : bootableBuses(system)).toEqual(['xen']);
  });

  test.each([
    [
      'sysvinit',
      { 'sbin/init': 'ELF', 'etc/inittab': 'x', 'etc/init.d/rc': 'x', 'lib/udev/rules.d/1.rules': '' },
      'rules',
    ],
    ['busybox', { 'sbin/init': '->../bin/busybox', 'etc/inittab': 'x', 'bin/busybox': 'ELF' }, 'none'],
    ['busybox', { 'sbin/init': 'ELF', 'etc/inittab': 'x' }, 'none'],
    ['other', { 'sbin/init': 'ELF', 'etc/init/tty1.conf': 'x' }, 'none'],
  ])('is %s, of %j', async (init, files, udev) => {
    expect(await inspectGuestSystem([at(await makeImage(files))], context)).toMatchObject({
      init,
      udev,
      kernels: [],
    });
  });

  test('is not read through a link out of the directory, nor from a disk without a root file system', async () => {
    const image = await makeImage({ 'sbin/init': 'ELF', 'etc/inittab': '->/etc/passwd', 'etc/passwd': 'x' });
    expect((await inspectGuestSystem([at(image)], context))?.files).toEqual({});
    expect(await inspectGuestSystem([at(await makeImage({ 'home/web/file': 'x' }))], context)).toBeNull();
  });
});
