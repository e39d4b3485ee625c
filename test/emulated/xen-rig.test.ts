import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { EXTRA_DISK_BYTES } from '../rigs/xen/machine.ts';
import { startXen, xenMissing, type Dom0 } from '../rigs/xen/start-xen.ts';
import {
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
  isFileSystemClean,
  type GuestImage,
} from '../support/guests/uml-guest.ts';
import { describeUnless } from '../support/programs/tools.ts';

const slowMs = 10 * 60_000;
const address = '10.0.2.77';

describeUnless(xenMissing(), 'the rig of Xen', () => {
  let directory: string;
  let image: GuestImage;
  let dom0: Dom0;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vmferry-xen-test-'));
    const path = join(directory, 'extra.img');
    const network = { hostName: 'web', address: `${address}/24` };
    image = await buildGuestImage({ path, network });
    const file = await open(path, 'r+');
    await file.truncate(EXTRA_DISK_BYTES);
    await file.close();
    dom0 = await startXen({ extraDisk: path });
  }, slowMs);

  afterAll(async () => {
    await dom0?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  const writeConfiguration = (name: string, disk: string) =>
    dom0.write(
      `/etc/xen/${name}.cfg`,
      [
        `name = '${name}'`,
        `kernel = '${dom0.guestKernel.kernel}'`,
        `ramdisk = '${dom0.guestKernel.initrd}'`,
        `memory = 128`,
        `disk = ['${disk}']`,
        `vif = ['mac=00:16:3e:00:00:07,bridge=xenbr0']`,
        `root = '/dev/xvda rw'`,
        `extra = 'console=hvc0 quiet'`,
      ].join('\n'),
    );

  test(
    'dom0 has Xen, Node and the program that is tested',
    async () => {
      expect(await dom0.run('xl', ['list'])).toMatch(/^Domain-0 +0 +512 /m);
      expect(await dom0.run('node', ['--version'])).toBe(`${process.version}\n`);
      expect(await dom0.run('vmferry', ['--version'])).toMatch(/^\d+\.\d+\.\d+$/m);
      expect(dom0.console()).not.toMatch(/panic/i);
    },
    slowMs,
  );

  test(
    'a guest of User Mode Linux boots as a guest of Xen from a partition, answers, and halts',
    async () => {
      await writeConfiguration('web', 'phy:/dev/vdc,xvda,w');
      await dom0.run('xl', ['create', '/etc/xen/web.cfg']);
      await dom0.waitForGuest('web', 'GUEST-UP boots=1');
      expect(await dom0.answerOf(address)).toBe('web boots=1 00:16:3e:00:00:07');
      await dom0.run('xl', ['shutdown', 'web']);
      await dom0.waitUntilGone('web');
      expect(await guestBootCount(image.path)).toBe(1);
      expect(await damagedGuestFiles(image.path, image.files)).toEqual([]);
      expect(await isFileSystemClean(image.path)).toBe(true);
    },
    slowMs,
  );

  test(
    'a guest boots from a file',
    async () => {
      const path = join(directory, 'file.img');
      await buildGuestImage({ path });
      await dom0.put(path, '/srv/guests/file.img');
      await writeConfiguration('file', 'file:/srv/guests/file.img,xvda,w');
      await dom0.run('xl', ['create', '/etc/xen/file.cfg']);
      await dom0.waitForGuest('file', 'GUEST-UP boots=1');
      expect(await dom0.run('losetup', ['--list'])).toContain('/srv/guests/file.img');
      await dom0.run('xl', ['destroy', 'file']);
      await dom0.waitUntilGone('file');
    },
    slowMs,
  );

  test(
    'a wait for a guest that halts instead ends at once',
    async () => {
      const noInit = `extra='console=hvc0 quiet init=/sbin/nothing'`;
      await dom0.run('xl', ['create', '/etc/xen/file.cfg', noInit, `on_crash='destroy'`]);
      await expect(dom0.waitForGuest('file', 'GUEST-UP boots=2')).rejects.toThrow('was gone before');
    },
    slowMs,
  );
});
