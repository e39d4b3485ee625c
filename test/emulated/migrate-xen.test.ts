import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { xenMissing } from '../rigs/xen/start-xen.ts';
import { startUmlBesideXen, type UmlBesideXen } from '../support/guests/uml-beside-xen.ts';
import {
  bootUmlGuest,
  buildGuestImage,
  damagedGuestFiles,
  guestBootCount,
  isFileSystemClean,
  type GuestImage,
} from '../support/guests/uml-guest.ts';
import { umlMissing } from '../support/guests/uml-kernel.ts';
import { umlProcessesOf } from '../support/guests/uml-processes.ts';
import { runTool } from '../support/images/images.ts';
import { describeUnless, toolsMissing } from '../support/programs/tools.ts';

const slowMs = 10 * 60_000;

/** A guest that runs under User Mode Linux on this machine, for the first time. */
interface GuestHere extends GuestImage, AsyncDisposable {
  name: string;
  address: string;
  mac: string;
}

const missing = umlMissing() ?? xenMissing() ?? toolsMissing('sfdisk', 'e2fsck');

describeUnless(missing, 'Xen', () => {
  let machines: UmlBesideXen;

  beforeAll(async () => {
    machines = await startUmlBesideXen({ partitions: 'start=2048, size=64M\n' });
  }, slowMs);

  afterAll(async () => {
    await machines?.[Symbol.asyncDispose]();
  });

  async function bootHere(name: string, number: number): Promise<GuestHere> {
    const path = join(machines.directory, `${name}.img`);
    const [address, mac] = [`10.0.2.${number}`, `00:16:3e:00:00:${number}`];
    const network = { hostName: name, address: `${address}/24` };
    const image = await buildGuestImage({ path, network, onCtrlAltDel: 'quick-poweroff' });
    const { stop } = await bootUmlGuest({
      image: path,
      name,
      umlDir: machines.umlDir,
      extraArgs: [`eth0=daemon,${mac}`],
    });
    return { ...image, name, address, mac, [Symbol.asyncDispose]: stop };
  }

  /** It runs there and nowhere else, and its image here is as the guest left it. */
  async function expectMoved({ name, address, mac, path, files }: GuestHere): Promise<void> {
    await machines.dom0.waitForGuest(name, 'GUEST-UP boots=2');
    expect(await machines.dom0.answerOf(address)).toBe(`${name} boots=2 ${mac}`);
    expect(umlProcessesOf(name, machines.umlDir)).toEqual([]);
    expect(await guestBootCount(path)).toBe(1);
    expect(await isFileSystemClean(path)).toBe(true);
    expect(await damagedGuestFiles(path, files)).toEqual([]);
  }

  test(
    'is in the rig, with Node and the program that is tested',
    async () => {
      const { dom0 } = machines;
      expect(await dom0.run('xl', ['list'])).toMatch(/^Domain-0 +0 +512 /m);
      expect(await dom0.run('node', ['--version'])).toBe(`${process.version}\n`);
      expect(await dom0.run('vmferry', ['--version'])).toMatch(/^\d+\.\d+\.\d+$/m);
      expect(dom0.console()).not.toMatch(/panic/i);
    },
    slowMs,
  );

  test(
    'runs a guest of User Mode Linux from a partition as it ran before, and xendomains starts it with the machine',
    async () => {
      const { dom0, directory, umlDir, moveToXen } = machines;
      await using web = await bootHere('web', 77);
      // A small guest shows that this is no kernel. The guest itself runs on.
      const noKernel = ['--disk', 'root=/dev/vdc1', '--kernel', '/etc/passwd'];
      await expect(moveToXen('web', 'dom0', ...noKernel)).rejects.toThrow(
        /Xen cannot boot the kernel \/etc\/passwd in a guest on dom0: .*no loader found/,
      );
      expect(umlProcessesOf('web', umlDir)).not.toEqual([]);
      const report = await moveToXen('web', 'dom0', '--disk', 'root=/dev/vdc1');
      expect(report).toMatchObject({ type: 'moved', guest: 'web' });
      await expectMoved(web);

      await dom0.run('vmferry', ['autostart', 'web']);
      // What the machine does when it goes down, and when it comes up.
      await dom0.run('/etc/init.d/xendomains', ['stop']);
      expect(await dom0.run('xl', ['list'])).not.toMatch(/^web /m);
      await dom0.run('/etc/init.d/xendomains', ['start']);
      await dom0.waitForGuest('web', 'GUEST-UP boots=3');
      expect(await dom0.answerOf(web.address)).toBe(`web boots=3 ${web.mac}`);
      await dom0.run('vmferry', ['halt', 'web']);
      await dom0.waitUntilGone('web');
      const partition = join(directory, 'partition.img');
      const place = ['bs=1M', 'skip=1', 'count=64', 'conv=sparse'];
      runTool('dd', [`if=${dom0.extraDisk}`, `of=${partition}`, ...place]);
      expect(await guestBootCount(partition)).toBe(3);
      expect(await damagedGuestFiles(partition, web.files)).toEqual([]);
      expect(await isFileSystemClean(partition)).toBe(true);
    },
    slowMs,
  );

  test(
    'runs a guest of User Mode Linux from a file, and the move is taken back',
    async () => {
      const { dom0, umlDir, moveToXen } = machines;
      await using shop = await bootHere('shop', 78);
      const report = await moveToXen('shop', 'dom0:/srv/guests');
      expect(report).toMatchObject({ type: 'moved', guest: 'shop' });
      await expectMoved(shop);
      expect(await dom0.run('losetup', ['--list'])).toContain('/srv/guests/shop.img');

      expect(await machines.vmferry('revert', 'shop')).toMatchObject({
        type: 'reverted',
        wasRunningThere: true,
      });
      expect(umlProcessesOf('shop', umlDir)).not.toEqual([]);
      await dom0.waitUntilGone('shop');
      await machines.vmferry('halt', 'shop');
      expect(await guestBootCount(shop.path)).toBe(2);
    },
    slowMs,
  );

  test(
    'ends a wait in the rig for a guest that halts instead',
    async () => {
      const { dom0 } = machines;
      const noInit = `extra='console=hvc0 quiet init=/sbin/nothing'`;
      const { kernel, initrd } = dom0.guestKernel;
      const disk = `disk = ['phy:/dev/vdc1,xvda,w']`;
      const lines = [`name = 'gone'`, `kernel = '${kernel}'`, `ramdisk = '${initrd}'`, `memory = 128`, disk];
      await dom0.write('/etc/xen/gone.cfg', [...lines, `root = '/dev/xvda rw'`, noInit].join('\n'));
      await dom0.run('xl', ['create', '/etc/xen/gone.cfg', `on_crash='destroy'`]);
      await expect(dom0.waitForGuest('gone', 'GUEST-UP boots=2')).rejects.toThrow('was gone before');
    },
    slowMs,
  );
});
