import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Context, Event } from '../../../src/events.ts';
import type { ImageFormat } from '../../../src/image/formats/image-format.ts';
import { lookInside } from '../../../src/operations/migrate/conversion/adaptation.ts';
import { noConversion } from '../../../src/operations/migrate/conversion/guest-there.ts';
import { fakeDefinition } from '../../support/guests/fake-driver.ts';
import { convert, viewsMissing, viewsOf } from '../../support/images/containers.ts';
import { loopDevicesMissing } from '../../support/images/loop-device.ts';
import { fillVolume, GROUP, makeVolumeGroup, placesByPvs, withLvm } from '../../support/images/lvm-image.ts';
import { scratchDirectory } from '../../support/images/images.ts';
import { describeUnless, findTool, toolsMissing } from '../../support/programs/tools.ts';

const MIB = 2 ** 20;
const fstab = '/dev/vda1 / ext4 defaults 0 1\n';
const toXen = { ...noConversion, as: 'xen' } as const;

let scratch: ReturnType<typeof scratchDirectory>;
let events: Event[];
let context: Context;

beforeEach(() => {
  scratch = scratchDirectory();
  events = [];
  context = { signal: new AbortController().signal, report: (event) => void events.push(event) };
});
afterEach(() => {
  scratch[Symbol.dispose]();
  expect(viewsOf(process.pid)).toEqual([]);
});

function tool(name: string, args: readonly string[], input = ''): void {
  const { status, stderr } = spawnSync(findTool(name) ?? name, args, { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
}

/** A disk whose first partition is a guest's root file system. */
async function makeDisk(): Promise<string> {
  const [tree, disk] = [join(scratch.path, 'tree'), join(scratch.path, 'raw')];
  for (const directory of ['etc', 'sbin']) mkdirSync(join(tree, directory), { recursive: true });
  writeFileSync(join(tree, 'etc/fstab'), fstab);
  writeFileSync(join(tree, 'sbin/init'), '');
  writeFileSync(disk, '');
  await truncate(disk, 8 * MIB);
  tool('mke2fs', ['-qF', '-t', 'ext4', '-d', tree, disk]);
  writeFileSync(disk, Buffer.concat([Buffer.alloc(MIB), readFileSync(disk)]));
  tool('sfdisk', ['-q', disk], 'label: dos\nstart=2048\n');
  return disk;
}

function guestOn(path: string, format: ImageFormat) {
  return fakeDefinition('web', [], {
    driver: 'qemu',
    disks: [{ device: 'vda', path, readOnly: false, format }],
  });
}

const missing = viewsMissing() ?? toolsMissing('mke2fs', 'debugfs', 'sfdisk');
const volumesMissing = loopDevicesMissing() ?? toolsMissing('mke2fs', 'debugfs', 'lvm');

describeUnless(missing, 'a look into a guest that is to be converted', () => {
  test.each(['raw', 'qcow2', 'vmdk', 'vdi', 'vpc', 'vhdx'] as const)('sees a %s image', async (format) => {
    const [raw, path] = [await makeDisk(), join(scratch.path, `web.${format}`)];
    convert(raw, path, format);
    const before = readFileSync(path);
    const system = await lookInside(guestOn(path, format), toXen, {}, context);
    expect(system).toMatchObject({ root: { diskIndex: 0, offset: MIB }, files: { '/etc/fstab': fstab } });
    expect(events).toEqual([]);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('sees an image that its guest has open, if it is told so', async () => {
    const [raw, path] = [await makeDisk(), join(scratch.path, 'web.qcow2')];
    convert(raw, path, 'qcow2');
    const file = `driver=file,node-name=file,filename=${path}`;
    const nodes = ['--blockdev', file, '--blockdev', 'driver=qcow2,node-name=disk,file=file'];
    const args = [...nodes, '--chardev', 'stdio,id=m', '--monitor', 'chardev=m'];
    const guest = spawn('qemu-storage-daemon', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(guest.stdout, 'data');
      const definition = guestOn(path, 'qcow2');
      expect(await lookInside(definition, toXen, { isInUse: true }, context)).not.toBeNull();
      expect(events).toEqual([]);
      expect(await lookInside(definition, toXen, {}, context)).toBeNull();
      expect(events).toMatchObject([{ message: expect.stringContaining('another process has locked it') }]);
    } finally {
      guest.kill();
      await once(guest, 'close');
    }
  });

  test.each([
    ['lvm2', 512, 'LABELONE'],
    ['xfs', 0, 'XFSB'],
  ])('that finds %s says so, once', async (kind, offset, magic) => {
    const [raw, path] = [join(scratch.path, 'raw'), join(scratch.path, 'web.qcow2')];
    const bytes = Buffer.alloc(MIB);
    bytes.write(magic, offset, 'latin1');
    writeFileSync(raw, bytes);
    convert(raw, path, 'qcow2');
    const guest = guestOn(path, 'qcow2');
    expect(await lookInside(guest, toXen, {}, context)).toBeNull();
    const message = `vmferry could not look into web, so nothing in it is adapted: ${path} holds ${kind}. It looks for a root file system of ext2, ext3 or ext4, on a disk, a partition or a logical volume in one piece.`;
    expect(events).toEqual([{ type: 'warning', code: 'guest-not-adapted', message }]);
    expect(await lookInside(guest, toXen, { isToldBefore: true }, context)).toBeNull();
    expect(events).toHaveLength(1);
  });

  test('is not taken if the guest stays as it is', async () => {
    const guest = guestOn(join(scratch.path, 'nothing'), 'qcow2');
    expect(await lookInside(guest, noConversion, {}, context)).toBeNull();
    expect(events).toEqual([]);
  });
});

describeUnless(volumesMissing, 'a look into a guest whose root file system is on LVM', () => {
  test('sees it if the logical volume is in one piece', async () => {
    const [tree, root, path] = ['tree', 'root', 'web.img'].map((name) => join(scratch.path, name)) as [
      string,
      string,
      string,
    ];
    for (const directory of ['etc', 'sbin']) mkdirSync(join(tree, directory), { recursive: true });
    writeFileSync(join(tree, 'etc/fstab'), '/dev/mapper/vg0-root / ext4 defaults 0 1\n');
    writeFileSync(join(tree, 'sbin/init'), '');
    writeFileSync(root, '');
    await truncate(root, 4 * MIB);
    tool('mke2fs', ['-qF', '-t', 'ext4', '-d', tree, root]);
    makeVolumeGroup(path, 12 * MIB, [
      ['root', '4M'],
      ['other', '1M'],
    ]);
    const [piece] = placesByPvs(path).volumes.get('root') ?? [];
    fillVolume(path, piece === undefined ? [] : [piece], root);
    expect(await lookInside(guestOn(path, 'raw'), toXen, {}, context)).toMatchObject({
      root: { diskIndex: 0, ...piece },
      files: { '/etc/fstab': expect.stringContaining('vg0-root') },
    });
    expect(events).toEqual([]);

    withLvm([path], (lvm) => lvm('lvextend', '-L', '+2M', `${GROUP}/root`));
    expect(await lookInside(guestOn(path, 'raw'), toXen, {}, context)).toBeNull();
    expect(events).toMatchObject([{ message: expect.stringContaining('holds ext4 in 2 pieces') }]);
  });
});
